variable "name" {
  description = "The bucket's name, unique in all of AWS."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits and dashes (no dots: they break TLS host names)."
  }
}

variable "create_only" {
  description = "Refuse writes without If-None-Match, and every delete, to every role."
  type        = bool
  default     = false
}

variable "object_lock_days" {
  description = "Days for which a written version cannot be deleted; null for no Object Lock. Locking is decided when the bucket is made."
  type        = number
  default     = null

  validation {
    condition     = var.object_lock_days == null ? true : var.object_lock_days >= 1
    error_message = "A lock lasts at least one day; null means none."
  }
}

variable "object_lock_mode" {
  description = "GOVERNANCE: an administrator may still lift it. COMPLIANCE: no one can, not even the account's owner, until it ends."
  type        = string
  default     = "GOVERNANCE"

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock_mode)
    error_message = "The mode is GOVERNANCE or COMPLIANCE."
  }
}

variable "expire_replaced_days" {
  description = "Days after which a replaced or deleted version goes for good; null keeps all of them."
  type        = number
  default     = null

  validation {
    condition     = var.expire_replaced_days == null ? true : var.expire_replaced_days >= 7
    error_message = "Leave a week at least to notice a mistake."
  }
  validation {
    condition     = var.expire_replaced_days == null || var.object_lock_days == null
    error_message = "A bucket with Object Lock keeps every version: expire_replaced_days must be null."
  }
}

variable "archive_replaced_days" {
  description = "Days after which a replaced version moves to a cheaper class that is read at once; null for never."
  type        = number
  default     = null
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete the bucket with its content. For trials."
  type        = bool
  default     = false
}

variable "writers" {
  description = "Roles or users, of any account, that write here: ARN -> folders. Each must exist already: S3 refuses a policy that names another."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = alltrue([for arn in keys(var.writers) : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/.+", arn))])
    error_message = "Each is the ARN of a role or a user: a whole account or everybody may not write."
  }
  validation {
    condition     = alltrue([for prefixes in values(var.writers) : length(prefixes) > 0 && alltrue([for prefix in prefixes : can(regex("^[^*?]+/$", prefix))])])
    error_message = "Each writes to folders, each with a slash at its end and no wildcard, such as raw/yellow/."
  }
}
