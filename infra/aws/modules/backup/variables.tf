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

variable "kms_key_arn" {
  type = string
}

variable "resource_arns" {
  type = list(string)
}

variable "keep_days" {
  type    = number
  default = 35

  validation {
    condition     = var.keep_days >= 7
    error_message = "Keep a week at least: what broke on Friday is seen on Monday."
  }
}

variable "force_destroy" {
  type    = bool
  default = false
}
