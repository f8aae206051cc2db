variable "name" {
  type = string
}

variable "region" {
  type = string
}

variable "cidr" {
  type    = string
  default = "10.20.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && endswith(var.cidr, "/16")
    error_message = "The network is a /16, such as 10.20.0.0/16; its subnets are /24."
  }
}

variable "availability_zones" {
  description = "The first is the host's. Databases want two."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2
    error_message = "RDS and ElastiCache want subnets in two zones at least."
  }
}
