variable "name" {
  description = "The value of the cost allocation tag `project`; the tag is activated once, in the billing console."
  type        = string
}

variable "monthly_usd" {
  type = number

  validation {
    condition     = var.monthly_usd > 0
    error_message = "A budget of nothing would alarm on the first cent."
  }
}

variable "topic_arn" {
  type = string
}

variable "emails" {
  type    = list(string)
  default = []
}
