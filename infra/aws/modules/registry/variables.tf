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

variable "force_destroy" {
  type    = bool
  default = false
}
