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
  description = "Who is told by mail; each confirms once."
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
  description = "Whether a pipeline starts by the queue. If none does, messages wait there unread, and rightly so."
  type        = bool
  default     = false
}

variable "host_enabled" {
  description = "Whether there is a host to watch. Said apart from its id, which a plan does not know yet."
  type        = bool
}

variable "instance_id" {
  type    = string
  default = null
}

variable "file_system_id" {
  type    = string
  default = null
}
