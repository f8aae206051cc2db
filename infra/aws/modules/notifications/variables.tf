variable "name" {
  type = string
}

variable "account_id" {
  type = string
}

variable "bucket_name" {
  type = string
}

variable "bucket_arn" {
  type = string
}

variable "kms_key_arn" {
  description = "A customer's key: S3 cannot publish to a topic under AWS's own."
  type        = string
}

variable "prefixes" {
  description = "Where data lands, each with a slash at its end."
  type        = set(string)

  validation {
    condition     = length(var.prefixes) > 0 && alltrue([for prefix in var.prefixes : endswith(prefix, "/")])
    error_message = "At least one prefix, each with a slash at its end: raw/yellow would also match raw/yellow-old."
  }
  validation {
    condition     = alltrue([for one in var.prefixes : !anytrue([for other in var.prefixes : one != other && startswith(one, other)])])
    error_message = "One prefix is inside another, which S3 refuses. Name the outer one only: a pipeline's own prefix may be inside it."
  }
}

variable "pipelines" {
  description = "The pipelines with `trigger: event`, and the prefix of each one's data. Each gets a queue of its own."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for pipeline in keys(var.pipelines) : can(regex("^[a-z][a-z0-9_]{0,44}$", pipeline))])
    error_message = "A pipeline is named as its file in dags/pipelines/, with 45 characters at most: its queue's name has the rest of SQS' 80."
  }
  validation {
    condition     = alltrue([for prefix in values(var.pipelines) : endswith(prefix, "/") && anytrue([for told in var.prefixes : startswith(prefix, told)])])
    error_message = "A pipeline's prefix has a slash at its end and is one of the prefixes, or inside one: the bucket sends no message about others."
  }
}

variable "marker" {
  description = "The end of the key that says that a partition is whole."
  type        = string
  default     = "_SUCCESS"
}

variable "retention_days" {
  description = "How long a message waits for a reader."
  type        = number
  default     = 14

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 14
    error_message = "SQS keeps a message 1 to 14 days."
  }
}

variable "visibility_seconds" {
  description = "How long a message that was taken and not deleted stays hidden."
  type        = number
  default     = 120
}

variable "max_receives" {
  description = "After so many times taken and not deleted, a message goes to the dead-letter queue."
  type        = number
  default     = 5
}
