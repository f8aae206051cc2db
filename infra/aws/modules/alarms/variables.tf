variable "name" {
  type = string
}

variable "account_id" {
  type = string
}

variable "kms_key_arn" {
  type = string
}

variable "emails" {
  description = "Mail addresses that get the alarms; each confirms once."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+$", email))])
    error_message = "Each is an e-mail address."
  }
}

variable "namespace" {
  description = "Where the host's agent puts its metrics."
  type        = string
}

variable "queue_name" {
  type = string
}

variable "failed_queue_name" {
  type = string
}

variable "queue_read" {
  description = "True if a pipeline starts by the queue. If none does, it is correct that messages wait there unread."
  type        = bool
  default     = false
}

variable "host_enabled" {
  description = "True if there is a host to watch. Separate from the host's id, which is not known when a plan is made."
  type        = bool
}

variable "instance_id" {
  type    = string
  default = null
}

variable "volume_enabled" {
  description = "True if the shared volume is EFS."
  type        = bool
  default     = true
}

variable "file_system_id" {
  type    = string
  default = null
}
