variable "name" {
  type = string
}

variable "github_repository" {
  type = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.github_repository))
    error_message = "The repository is owner/name, without wildcards: every repository that matches it may deploy."
  }
}

variable "github_environment" {
  description = "The GitHub environment whose jobs may deploy."
  type        = string
  default     = "production"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.github_environment))
    error_message = "An environment's name, without wildcards: every environment that matches it may deploy."
  }
}

variable "oidc_provider_arn" {
  description = "GitHub's identity provider, if the account has it already: there can be one only."
  type        = string
  default     = null
}

variable "repository_arns" {
  type = list(string)
}

variable "instance_arn" {
  description = "The one host that the document may run on; null while there is none."
  type        = string
  default     = null
}
