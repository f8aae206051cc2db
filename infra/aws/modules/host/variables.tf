variable "name" {
  type = string
}

variable "region" {
  type = string
}

variable "vpc_id" {
  type = string
}

variable "network_cidr" {
  type = string
}

variable "subnet_id" {
  type = string
}

variable "availability_zone" {
  description = "Of the subnet; the disk of the databases has to be in the same."
  type        = string
}

variable "instance_profile" {
  type = string
}

variable "kms_key_arn" {
  type = string
}

variable "instance_type" {
  type    = string
  default = "m7i-flex.xlarge"
}

variable "ami_id" {
  description = "An image of Amazon Linux 2023 for x86_64; null takes the newest at the first apply."
  type        = string
  default     = null
}

variable "system_disk_gb" {
  type    = number
  default = 30
}

variable "data_disk_gb" {
  type    = number
  default = 100
}

variable "egress_ports" {
  description = "TCP ports that the host may reach anywhere: 443, and 22 if the Git server is reached over SSH."
  type        = set(number)
  default     = [443]
}

variable "release" {
  description = "The release that a new host starts; null starts none: the first deployment does."
  type        = string
  default     = null

  validation {
    condition     = var.release == null ? true : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+$", var.release))
    error_message = "A release is a tag such as v1.2.0."
  }
}

variable "registry" {
  description = "The registry's host name."
  type        = string
}

variable "secrets" {
  description = "Names below <name>/host/ in Secrets Manager; each becomes a file in memory at start."
  type        = list(string)
}

variable "environment" {
  description = "Variables for the compose file: buckets, addresses, the secrets backend. No secrets: user data is readable on the host."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.environment) : !can(regex("(?i)(password|token|secret_key|fernet)", name))])
    error_message = "No secrets in user data. Put it into Secrets Manager, below <name>/host/ or airflow/connections/."
  }
}

variable "aws_credentials" {
  description = "The file that containers read as AWS credentials: roles, no keys."
  type        = string
}

variable "file_system_id" {
  type = string
}

variable "access_point_id" {
  type = string
}

variable "metrics_namespace" {
  type = string
}

variable "watch_health_url" {
  description = "The watch's health address, on the host's loopback interface."
  type        = string
  default     = "http://127.0.0.1:8091/health"
}

variable "compose" {
  description = "Docker's compose plugin, which Amazon Linux does not package: version and the checksum of its binary."
  type        = object({ version = string, sha256 = string })

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.compose.sha256))
    error_message = "The checksum is the SHA-256 from the release's page, 64 hexadecimal digits."
  }
}
