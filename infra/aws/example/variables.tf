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
  description = "An image of Amazon Linux 2023 for x86_64. Needed with a host; another id replaces the machine, its data disk stays."
  type        = string
  default     = null

  validation {
    condition     = var.ami_id != null || !var.enable_host
    error_message = "Choose an image. infra/aws/README.md, Apply it, has the command that names the newest one."
  }
}

variable "patch_window" {
  description = "When updates of the system are installed, with a reboot if they need it: systemd's OnCalendar, and the minutes for which running stages may delay them."
  type        = object({ start = string, minutes = number })
  default     = { start = "Sun *-*-* 02:00:00 UTC", minutes = 180 }
}

variable "workers" {
  description = "Celery workers on the host. All tasks that run at once are workers x worker_concurrency."
  type        = number
  default     = 2

  validation {
    condition     = var.workers >= 1 && floor(var.workers) == var.workers
    error_message = "At least one worker."
  }
}

variable "worker_concurrency" {
  description = "Tasks that one worker runs at once."
  type        = number
  default     = 2

  validation {
    condition     = var.worker_concurrency >= 1 && floor(var.worker_concurrency) == var.worker_concurrency
    error_message = "At least one task."
  }
}

variable "worker_memory" {
  description = "Memory of one worker, with all its tasks, such as 3g. All workers' together leave 6 GB for the rest of the stack."
  type        = string
  default     = "3g"

  validation {
    condition     = can(regex("^[1-9][0-9]*[mg]$", var.worker_memory))
    error_message = "Megabytes or gigabytes, such as 1536m or 3g."
  }
}

variable "shared_volume" {
  description = "Where cache and workspaces are: `efs`, which other hosts can mount too, or `disk`, the data disk of this host: faster, cheaper, and in the nightly copy."
  type        = string
  default     = "efs"
}

variable "data_disk_gb" {
  description = "The disk with the databases, the images and, with shared_volume = \"disk\", the cache. It can grow, never shrink."
  type        = number
  default     = 100
}

variable "data_snapshot_id" {
  description = "The copy from which the data disk is made, in a restore: infra/docs/disaster-recovery.md, Postgres lost."
  type        = string
  default     = null
}

variable "backup_keep_days" {
  description = "Days for which a nightly copy of the data disk is kept."
  type        = number
  default     = 35
}

variable "keep_secrets_copy" {
  description = "Keep the host's secrets on its system disk too, readable for root alone, so that a boot needs no Secrets Manager."
  type        = bool
  default     = true
}

variable "egress_ports" {
  type    = set(number)
  default = [443]
}

variable "compose" {
  description = "Docker's compose plugin: version and SHA-256 of docker-compose-linux-x86_64, from the release's page."
  type        = object({ version = string, sha256 = string })
}

variable "cosign" {
  description = "The program that checks signatures on the host: the version and SHA-256 that infra/release/pinned.toml has."
  type        = object({ version = string, sha256 = string })
  default     = { version = "3.0.6", sha256 = "c956e5dfcac53d52bcf058360d579472f0c1d2d9b69f55209e256fe7783f4c74" }
}

variable "release_signer" {
  description = "Who signs releases: null for the release workflow of github_repository, a cosign public key (PEM), or \"none\": then the host starts images that nobody signed."
  type        = string
  default     = null

  validation {
    condition     = !var.enable_host || var.release_signer != null || var.github_repository != null
    error_message = "Say who signs releases: set github_repository, or release_signer to a public key, or to \"none\" for images that are pushed by hand and not signed."
  }
  validation {
    condition     = var.release_signer == null ? true : var.release_signer == "none" || startswith(var.release_signer, "-----BEGIN PUBLIC KEY-----")
    error_message = "It is null, \"none\", or the content of cosign.pub."
  }
}

variable "third_party_images" {
  description = "Repositories of others whose images a release may start on the host, by digest only."
  type        = list(string)
  default = [
    "postgres", "redis", "prom/statsd-exporter", "prom/node-exporter", "prometheuscommunity/postgres-exporter", "oliver006/redis_exporter",
    "prom/prometheus", "prom/alertmanager", "grafana/grafana",
  ]
}

variable "host_views" {
  description = "Folders of the host that one service of a release may read, as service:/folder."
  type        = list(string)
  default     = ["node-exporter:/usr/share"] # its measure of the system disk
}

variable "keep_pin" {
  description = "Whether a release changes the images only. null: yes if pipeline_repository is another repository than github_repository, because then its tags are others."
  type        = bool
  default     = null
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

# --- addresses that people can open; null: the page's port on 127.0.0.1, as through Session Manager ---

variable "airflow_url" {
  description = "Airflow, in messages and in its own links."
  type        = string
  default     = null

  validation {
    condition     = var.airflow_url == null ? true : can(regex("^https?://[^ ']+[^/ ']$", var.airflow_url))
    error_message = "An address such as https://airflow.example.com, without a slash at its end."
  }
}

variable "mlflow_url" {
  description = "MLflow, in messages."
  type        = string
  default     = null

  validation {
    condition     = var.mlflow_url == null ? true : can(regex("^https?://[^ ']+[^/ ']$", var.mlflow_url))
    error_message = "An address such as https://mlflow.example.com, without a slash at its end."
  }
}

variable "runbooks_url" {
  description = "The folder of the runbooks, in messages; the watch's page serves them below /runbooks."
  type        = string
  default     = null

  validation {
    condition     = var.runbooks_url == null ? true : can(regex("^https?://[^ ']+[^/ ']$", var.runbooks_url))
    error_message = "An address such as https://runbooks.example.com, without a slash at its end."
  }
}

variable "grafana_url" {
  description = "Grafana, in its own links."
  type        = string
  default     = null

  validation {
    condition     = var.grafana_url == null ? true : can(regex("^https?://[^ ']+[^/ ']$", var.grafana_url))
    error_message = "An address such as https://grafana.example.com, without a slash at its end."
  }
}

variable "prometheus_url" {
  description = "Prometheus, in alerts."
  type        = string
  default     = null

  validation {
    condition     = var.prometheus_url == null ? true : can(regex("^https?://[^ ']+[^/ ']$", var.prometheus_url))
    error_message = "An address such as https://prometheus.example.com, without a slash at its end."
  }
}

variable "alertmanager_url" {
  description = "Alertmanager, in alerts."
  type        = string
  default     = null

  validation {
    condition     = var.alertmanager_url == null ? true : can(regex("^https?://[^ ']+[^/ ']$", var.alertmanager_url))
    error_message = "An address such as https://alertmanager.example.com, without a slash at its end."
  }
}

variable "heartbeat_url" {
  description = "An address outside of AWS that the watch asks every minute; its owner raises an alarm when it stays silent."
  type        = string
  default     = null

  validation {
    condition     = var.heartbeat_url == null ? true : can(regex("^https?://[^ ']+[^/ ']$", var.heartbeat_url))
    error_message = "An address such as https://heartbeat.example.com, without a slash at its end."
  }
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
  description = "What the shared volume may hold: EFS is never full, it only costs more. A run that would need more is refused, and alarms come before."
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
