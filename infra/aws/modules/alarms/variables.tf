variable "name" {
  type = string
}

variable "account_id" {
  type = string
}

variable "partition" {
  type    = string
  default = "aws"
}

variable "region" {
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

variable "queue_names" {
  description = "Pipeline -> its queue; `-failed` after that is its dead-letter queue."
  type        = map(string)
  default     = {}
}

variable "host_enabled" {
  description = "True if there is a host to watch. Separate from the host's id, which is not known when a plan is made."
  type        = bool
}

variable "live" {
  description = "True once the host runs a release: only then do the watch and the host's agent have something to report."
  type        = bool
  default     = false
}

variable "instance_id" {
  type    = string
  default = null
}

variable "volume_enabled" {
  description = "True if there is a shared volume, an EFS. Separate from its id, which is not known when a plan is made."
  type        = bool
  default     = false
}

variable "file_system_id" {
  type    = string
  default = null
}

variable "volume_gb" {
  description = "An alarm if the shared volume holds more."
  type        = number
  default     = 200

  validation {
    condition     = var.volume_gb >= 1
    error_message = "A size in GB, 1 at least."
  }
}
