variable "name" {
  type = string
}

variable "partition" {
  type    = string
  default = "aws"
}

variable "account_id" {
  type = string
}

variable "region" {
  type = string
}

variable "raw" {
  description = "Where data lands: the bucket, and the folders that this deployment may read."
  type        = object({ bucket_arn = string, prefixes = list(string) })

  validation {
    condition     = length(var.raw.prefixes) > 0 && alltrue([for prefix in var.raw.prefixes : can(regex("^[^*?]+/$", prefix))])
    error_message = "Folders, each with a slash at its end and no wildcard: dt=… of raw/yellow must not give raw/yellow-private too."
  }
}

variable "store" {
  description = "DVC's remote."
  type        = object({ bucket_arn = string, prefix = string })

  validation {
    condition     = can(regex("^[^*?]+/$", var.store.prefix))
    error_message = "A folder, with a slash at its end and no wildcard, such as dvc/."
  }
}

variable "ledger" {
  type = object({ bucket_arn = string, prefix = string })

  validation {
    condition     = can(regex("^[^*?]+/$", var.ledger.prefix))
    error_message = "A folder, with a slash at its end and no wildcard, such as ledger/."
  }
}

variable "artifacts_bucket_arn" {
  type = string
}

variable "queue_arns" {
  description = "The queues of the pipelines that messages start."
  type        = list(string)
  default     = []
}

variable "failed_queue_arns" {
  description = "The queues of messages that could not be handled."
  type        = list(string)
  default     = []
}

variable "topic_arn" {
  description = "The topic that the raw bucket writes to; null for none."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  type = string
}

variable "repository_arns" {
  type = list(string)
}

variable "secrets_prefix" {
  description = "The first folder of Airflow's connections and variables in Secrets Manager."
  type        = string
  default     = "airflow"
}

variable "metrics_namespace" {
  type = string
}

variable "operator_arns" {
  description = "Roles or users that may take the prune role; if empty, the role is not made."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.operator_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/.+", arn))])
    error_message = "Each is the ARN of a role or a user: a whole account or everybody may not prune."
  }
}
