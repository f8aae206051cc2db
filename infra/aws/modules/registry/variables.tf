variable "name" {
  type = string
}

variable "kms_key_arn" {
  type = string
}

variable "repositories" {
  description = "One repository an image."
  type        = set(string)
  default     = ["airflow", "worker", "mlflow"]
}

variable "keep_releases" {
  description = "How many releases stay in the registry. A day's restore needs none: it builds from the lock of its commit."
  type        = number
  default     = 50

  validation {
    condition     = var.keep_releases >= 2
    error_message = "Keep two at least: going back needs the one before."
  }
}

variable "untagged_days" {
  description = "After how many days an image without a tag goes, and with it the signatures of a release of that age. No older release can be started."
  type        = number
  default     = 730

  validation {
    condition     = var.untagged_days >= 90
    error_message = "Signatures have no tag: within 90 days at least, a release can be started again."
  }
}

variable "force_destroy" {
  type    = bool
  default = false
}
