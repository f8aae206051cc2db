variable "name" {
  type = string
}

variable "partition" {
  type    = string
  default = "aws"
}

variable "account_id" {
  type = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account's id has twelve digits."
  }
}
