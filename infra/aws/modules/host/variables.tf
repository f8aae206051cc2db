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
  description = "An image of Amazon Linux 2023 for x86_64. Another id replaces the machine; nothing else chooses one."
  type        = string

  validation {
    condition     = can(regex("^ami-([0-9a-f]{8}|[0-9a-f]{17})$", var.ami_id))
    error_message = "An image's id, such as ami-0123456789abcdef0. infra/aws/README.md, Apply it, has the command that lists them."
  }
}

variable "trial" {
  description = "Terraform may remove the disk with the databases. Decided at the first apply."
  type        = bool
  default     = false
}

variable "system_disk_gb" {
  type    = number
  default = 30
}

variable "data_disk_gb" {
  type    = number
  default = 100
}

variable "data_snapshot_id" {
  description = "A copy of the data disk, from which a new one is made; null for an empty disk."
  type        = string
  default     = null

  validation {
    condition     = var.data_snapshot_id == null ? true : can(regex("^snap-[0-9a-f]+$", var.data_snapshot_id))
    error_message = "A snapshot's id, such as snap-0123456789abcdef0: the end of the recovery point's ARN."
  }
}

variable "patch_window" {
  description = "When updates of the system are installed: the start as systemd's OnCalendar, and the minutes for which running stages may delay them."
  type        = object({ start = string, minutes = number })
  default     = { start = "Sun *-*-* 02:00:00 UTC", minutes = 180 }

  validation {
    condition     = can(regex("^[A-Za-z0-9*:/., -]+$", var.patch_window.start)) && var.patch_window.minutes > 0
    error_message = "The start is systemd's OnCalendar, such as `Sun *-*-* 02:00:00 UTC`, and the minutes are more than 0."
  }
}

variable "release_signer" {
  description = "Who must have signed a release: the release workflow of a GitHub repository (owner/name), or the owner of a cosign key (PEM). `unsigned` starts images without a signature."
  type        = object({ github_repository = optional(string), public_key = optional(string), unsigned = optional(bool, false) })

  validation {
    condition     = length([for given in [var.release_signer.github_repository != null, var.release_signer.public_key != null, var.release_signer.unsigned] : given if given]) == 1
    error_message = "Exactly one of github_repository, public_key, unsigned = true."
  }
  validation {
    condition     = var.release_signer.github_repository == null ? true : can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.release_signer.github_repository))
    error_message = "The repository is owner/name."
  }
  validation {
    condition     = var.release_signer.public_key == null ? true : startswith(var.release_signer.public_key, "-----BEGIN PUBLIC KEY-----")
    error_message = "The key is the public one, in PEM: the content of cosign.pub."
  }
}

variable "third_party_images" {
  description = "Repositories of others whose images a release may use, by digest only."
  type        = list(string)
  default = [
    "postgres", "redis", "prom/statsd-exporter", "prom/node-exporter", "prometheuscommunity/postgres-exporter", "oliver006/redis_exporter",
    "prom/prometheus", "prom/alertmanager", "grafana/grafana",
  ]
}

variable "host_views" {
  description = "Folders of the host that one service may read, as service:/folder."
  type        = list(string)
  default     = ["node-exporter:/usr/share"] # its measure of the system disk

  validation {
    condition     = alltrue([for view in var.host_views : can(regex("^[a-z0-9-]+:/[^ ]*$", view))])
    error_message = "Each is service:/folder."
  }
}

variable "keep_pin" {
  description = "A release changes the images and leaves the pin alone: for a pipeline whose repository is another one, with tags of its own."
  type        = bool
  default     = false
}

variable "keep_secrets_copy" {
  description = "Keep the secrets on the system disk too, readable for root alone, so that a boot needs no Secrets Manager."
  type        = bool
  default     = true
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
  description = "Variables for the compose file: buckets, addresses, the secrets backend. No secrets: parameters are readable on the host."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.environment) : !can(regex("(?i)(password|token|secret_key|fernet)", name))])
    error_message = "No secrets in parameters. Put it into Secrets Manager, below <name>/host/ or airflow/connections/."
  }
}

variable "aws_credentials" {
  description = "The file that containers read as AWS credentials: roles, no keys."
  type        = string
}

variable "shared_volume" {
  description = "Where the folder that workers share is: `efs`, which other hosts can mount too, or `disk`, a Docker volume on the data disk."
  type        = string
  default     = "efs"

  validation {
    condition     = contains(["efs", "disk"], var.shared_volume)
    error_message = "It is efs or disk."
  }
}

variable "file_system_id" {
  description = "Of EFS; null for `disk`."
  type        = string
  default     = null
}

variable "access_point_id" {
  type    = string
  default = null
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

variable "cosign" {
  description = "Sigstore's program that checks signatures: version and the checksum of cosign-linux-amd64."
  type        = object({ version = string, sha256 = string })
  default     = { version = "3.0.6", sha256 = "c956e5dfcac53d52bcf058360d579472f0c1d2d9b69f55209e256fe7783f4c74" }

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.cosign.sha256))
    error_message = "The checksum is a SHA-256, 64 hexadecimal digits."
  }
}
