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
  description = "By availability zone; one mount target each."
  type        = map(string)
}

variable "client_role_arn" {
  type = string
}

variable "client_security_group_id" {
  type = string
}

variable "uid" {
  description = "Every write through the access point has this user: Airflow's in its image."
  type        = number
  default     = 50000
}

variable "gid" {
  type    = number
  default = 50000
}
