variable "secrets" {
  description = "Name -> description of the value."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)+$", name))])
    error_message = "A secret's name is a path, such as airflow/connections/slack_default: roles are given whole folders of them."
  }
}

variable "kms_key_arn" {
  type = string
}

variable "recovery_days" {
  description = "How long a deleted secret can be brought back; 0 deletes at once, for trials."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "Secrets Manager waits 7 to 30 days, or 0."
  }
}
