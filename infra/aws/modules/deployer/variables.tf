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

variable "github_owner_id" {
  description = "The number of the repository's owner: gh api repos/OWNER/NAME --jq .owner.id"
  type        = string

  validation {
    condition     = can(regex("^[1-9][0-9]*$", var.github_owner_id))
    error_message = "An owner's id is a number; `gh api repos/OWNER/NAME --jq .owner.id` prints it."
  }
}

variable "github_repository_id" {
  description = "The repository's number: gh api repos/OWNER/NAME --jq .id"
  type        = string

  validation {
    condition     = can(regex("^[1-9][0-9]*$", var.github_repository_id))
    error_message = "A repository's id is a number; `gh api repos/OWNER/NAME --jq .id` prints it."
  }
}

variable "github_workflow" {
  description = "The file in .github/workflows whose jobs may deploy."
  type        = string
  default     = "release.yml"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+\\.ya?ml$", var.github_workflow))
    error_message = "A file's name such as release.yml, without wildcards."
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
