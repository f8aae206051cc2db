variable "name" {
  description = "The deployment's name: the beginning of every resource's, and the value of the tag `project`."
  type        = string
  default     = "retrain"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "3 to 20 lower-case letters, digits and dashes, a letter first: buckets and databases are named after it."
  }
}

variable "region" {
  type = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is named like eu-central-1."
  }
}

variable "zones" {
  description = "Letters of the region's availability zones; the first is the host's."
  type        = list(string)
  default     = ["a", "b"]
}

variable "trial" {
  description = "Everything may be destroyed, with its content. For an account that is only for trials, never for a deployment."
  type        = bool
  default     = false
}

# --- data ---

variable "raw_prefixes" {
  description = "The folders of the raw bucket that this deployment reads."
  type        = list(string)
  default     = ["raw/yellow/"]
}

variable "event_pipelines" {
  description = "The pipelines with `trigger: event`, and the folder of each one's data: pipeline -> prefix. Each gets a queue of its own; its file names it as $${RETRAIN_LANDED_QUEUES}<pipeline>."
  type        = map(string)
  default     = {}
}

variable "producers" {
  description = "Who lands data: ARNs of roles or users, of any account -> folders of the raw bucket. Each must exist already."
  type        = map(list(string))
  default     = {}
}

variable "store_prefix" {
  type    = string
  default = "dvc/"
}

variable "ledger_prefix" {
  type    = string
  default = "ledger/"
}

variable "ledger_lock_days" {
  description = "Days for which no one can remove a ledger entry. Nothing removes it afterwards either, but then it would be possible."
  type        = number
  default     = 3650
}

variable "ledger_lock_mode" {
  type    = string
  default = "GOVERNANCE"
}

# --- secrets: names and descriptions; the values are filled in by hand ---

variable "airflow_connections" {
  type = map(string)
  default = {
    mlflow_default = "MLflow: {\"conn_type\": \"http\", \"schema\": \"http\", \"host\": \"mlflow\", \"port\": 5000}"
  }
}

variable "airflow_variables" {
  description = "Not the pin: a variable that is here cannot be changed by `make release`."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.airflow_variables) : !endswith(name, "_release")])
    error_message = "A pin (…_release) belongs into Airflow's database: there `make release` moves it, here it would be frozen."
  }
}

variable "host_secrets" {
  description = "Files that the compose stack reads. The host makes all other secrets itself, new ones at each start."
  type        = map(string)
  default = {
    postgres_password         = "Postgres: its owner's password"
    airflow_database_password = "Postgres: Airflow's"
    mlflow_database_password  = "Postgres: MLflow's"
    fernet_key                = "Airflow: what connections and variables are encrypted with in its database"
    jwt_secret                = "Airflow: what its components prove themselves with"
    api_secret_key            = "Airflow: what sessions are signed with"
    admin_password            = "Airflow: the user admin"
    watch_password            = "Airflow: the user of the watch"
    grafana_password          = "Grafana: the user admin"
    slack_token               = "Slack: the app's token, for the watch"
    slack_webhook             = "Slack: Alertmanager's webhook"
    git_credentials           = "Git: https://user:token@host of a read-only token"
  }
}

# --- roles ---

variable "operator_arns" {
  description = "Roles or users that may take the prune role. Each must exist already: IAM refuses a trust in another (MalformedPolicyDocument)."
  type        = list(string)
  default     = []
}

variable "github_repository" {
  description = "owner/name whose releases may deploy; null for none."
  type        = string
  default     = null
}

variable "github_owner_id" {
  description = "The number of its owner: gh api repos/OWNER/NAME --jq .owner.id"
  type        = string
  default     = null

  validation {
    condition     = (var.github_owner_id == null) == (var.github_repository == null)
    error_message = "github_repository needs github_owner_id, which `gh api repos/OWNER/NAME --jq .owner.id` prints: GitHub's tokens name newer repositories with it."
  }
}

variable "github_repository_id" {
  description = "Its own number: gh api repos/OWNER/NAME --jq .id"
  type        = string
  default     = null

  validation {
    condition     = (var.github_repository_id == null) == (var.github_repository == null)
    error_message = "github_repository needs github_repository_id, which `gh api repos/OWNER/NAME --jq .id` prints: GitHub's tokens name newer repositories with it."
  }
}

variable "github_oidc_provider_arn" {
  description = "GitHub's identity provider, if the account has it (else IAM answers EntityAlreadyExists): aws iam list-open-id-connect-providers"
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null ? true : endswith(var.github_oidc_provider_arn, ":oidc-provider/token.actions.githubusercontent.com")
    error_message = "The ARN of token.actions.githubusercontent.com, as `aws iam list-open-id-connect-providers` prints it."
  }
}

# --- the machine ---

variable "enable_host" {
  type    = bool
  default = true
}

variable "instance_type" {
  type    = string
  default = "m7i-flex.xlarge"
}

variable "ami_id" {
  type    = string
  default = null
}

variable "egress_ports" {
  type    = set(number)
  default = [443]
}

variable "compose" {
  description = "Docker's compose plugin: version and SHA-256 of docker-compose-linux-x86_64, from the release's page."
  type        = object({ version = string, sha256 = string })
}

variable "release" {
  description = "What a new host starts; null until the first images are pushed."
  type        = string
  default     = null
}

variable "pipeline_repository" {
  description = "The Git repository of the pipeline, whose tags are the releases."
  type        = string

  validation {
    condition     = !strcontains(var.pipeline_repository, "OWNER/NAME")
    error_message = "Write the address of your own repository in place of OWNER/NAME: its code runs in this account."
  }
}

variable "slack_channel" {
  type    = string
  default = "#retrain-alerts"
}

# --- options ---

variable "enable_database" {
  description = "RDS in place of Postgres in the compose stack."
  type        = bool
  default     = false
}

variable "enable_redis" {
  description = "ElastiCache in place of Redis in the compose stack."
  type        = bool
  default     = false
}

# --- alarms and budget ---

variable "live" {
  description = "True once the host runs its first release. Then the watch, the memory and the disks get their alarms; before that they would all be red."
  type        = bool
  default     = false
}

variable "shared_volume_gb" {
  description = "An alarm if the shared volume holds more: EFS is never full, it only costs more."
  type        = number
  default     = 200
}

variable "alarm_emails" {
  type    = list(string)
  default = []
}

variable "monthly_budget_usd" {
  type    = number
  default = 250
}
