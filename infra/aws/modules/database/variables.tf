variable "name" {
  type = string
}

variable "kms_key_arn" {
  type = string
}

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  type = list(string)
}

variable "client_security_group_id" {
  type = string
}

variable "instance_class" {
  type    = string
  default = "db.t4g.small"
}

variable "multi_az" {
  type    = bool
  default = false
}

variable "protected" {
  description = "Refuse to delete it, and leave a snapshot when it is deleted all the same."
  type        = bool
  default     = true
}
