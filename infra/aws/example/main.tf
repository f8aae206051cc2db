# One complete deployment. Copy this folder, fill in terraform.tfvars, apply. What it does is in infra/aws/README.md.

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.name }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  registry  = "${local.account}.dkr.ecr.${var.region}.amazonaws.com"
  metrics   = "Retrain/${var.name}"

  # A trial's data may be destroyed; a deployment's is protected.
  recovery_days = var.trial ? 0 : 30

  # A release of this repository is also a tag of the pipeline only if both are in one repository.
  keep_pin = var.keep_pin != null ? var.keep_pin : var.github_repository == null ? false : !anytrue([for before in ["/", ":"] : endswith(lower(trimsuffix(var.pipeline_repository, ".git")), "${before}${lower(var.github_repository)}")])

  # Where people open the pages; a page without an address of its own is linked as if through Session Manager.
  addresses = { for name, url in {
    RETRAIN_AIRFLOW_URL      = var.airflow_url
    RETRAIN_MLFLOW_URL       = var.mlflow_url
    RETRAIN_RUNBOOKS_URL     = var.runbooks_url
    RETRAIN_GRAFANA_URL      = var.grafana_url
    RETRAIN_PROMETHEUS_URL   = var.prometheus_url
    RETRAIN_ALERTMANAGER_URL = var.alertmanager_url
    RETRAIN_HEARTBEAT_URL    = var.heartbeat_url
  } : name => url if url != null }
}

module "key" {
  source     = "../modules/key"
  name       = var.name
  account_id = local.account
  partition  = local.partition
}

# --- data ---

module "raw" {
  source = "../modules/bucket"
  name   = "${var.name}-${local.account}-raw"
  # No expiry: a manifest names the versions that its run read, and a replay reads those.
  archive_replaced_days = 90
  writers               = var.producers
  force_destroy         = var.trial
}

module "store" {
  source               = "../modules/bucket"
  name                 = "${var.name}-${local.account}-store"
  expire_replaced_days = 30
  force_destroy        = var.trial
}

module "ledger" {
  source           = "../modules/bucket"
  name             = "${var.name}-${local.account}-ledger"
  create_only      = true
  object_lock_days = var.ledger_lock_days
  object_lock_mode = var.ledger_lock_mode
  force_destroy    = var.trial
}

module "artifacts" {
  source               = "../modules/bucket"
  name                 = "${var.name}-${local.account}-mlflow"
  expire_replaced_days = 90
  force_destroy        = var.trial
}

module "notifications" {
  source      = "../modules/notifications"
  name        = var.name
  account_id  = local.account
  bucket_name = module.raw.name
  bucket_arn  = module.raw.arn
  prefixes    = var.raw_prefixes
  pipelines   = var.event_pipelines
  kms_key_arn = module.key.arn
}

# --- what a release needs ---

module "registry" {
  source        = "../modules/registry"
  name          = var.name
  kms_key_arn   = module.key.arn
  force_destroy = var.trial
}

module "secrets" {
  source        = "../modules/secrets"
  kms_key_arn   = module.key.arn
  recovery_days = local.recovery_days
  secrets = merge(
    { for id, description in var.airflow_connections : "airflow/connections/${id}" => description },
    { for id, description in var.airflow_variables : "airflow/variables/${id}" => description },
    { for file, description in var.host_secrets : "${var.name}/host/${file}" => description },
  )
}

module "roles" {
  source               = "../modules/roles"
  name                 = var.name
  account_id           = local.account
  partition            = local.partition
  region               = var.region
  raw                  = { bucket_arn = module.raw.arn, prefixes = var.raw_prefixes }
  store                = { bucket_arn = module.store.arn, prefix = var.store_prefix }
  ledger               = { bucket_arn = module.ledger.arn, prefix = var.ledger_prefix }
  artifacts_bucket_arn = module.artifacts.arn
  queue_arns           = module.notifications.queue_arns
  failed_queue_arns    = module.notifications.failed_queue_arns
  topic_arn            = module.notifications.topic_arn
  kms_key_arn          = module.key.arn
  repository_arns      = module.registry.arns
  metrics_namespace    = local.metrics
  operator_arns        = var.operator_arns
}

module "deployer" {
  source               = "../modules/deployer"
  count                = var.github_repository == null ? 0 : 1
  name                 = var.name
  github_repository    = var.github_repository
  github_owner_id      = var.github_owner_id
  github_repository_id = var.github_repository_id
  oidc_provider_arn    = var.github_oidc_provider_arn
  repository_arns      = module.registry.arns
  instance_arn         = one(module.host[*].instance_arn)
}

# --- the machine ---

module "network" {
  source             = "../modules/network"
  count              = var.enable_host ? 1 : 0
  name               = var.name
  region             = var.region
  availability_zones = [for letter in var.zones : "${var.region}${letter}"]
}

module "shared_volume" {
  source                   = "../modules/shared_volume"
  count                    = var.enable_host && var.shared_volume == "efs" ? 1 : 0
  name                     = var.name
  kms_key_arn              = module.key.arn
  vpc_id                   = module.network[0].vpc_id
  subnet_ids               = module.network[0].data_subnet_ids
  client_role_arn          = module.roles.arns["host"]
  client_security_group_id = module.host[0].security_group_id
}

module "host" {
  source            = "../modules/host"
  count             = var.enable_host ? 1 : 0
  name              = var.name
  region            = var.region
  vpc_id            = module.network[0].vpc_id
  network_cidr      = module.network[0].cidr
  subnet_id         = module.network[0].host_subnet_id
  availability_zone = module.network[0].host_zone
  instance_profile  = module.roles.instance_profile
  instance_type     = var.instance_type
  ami_id            = var.ami_id
  kms_key_arn       = module.key.arn
  trial             = var.trial
  data_disk_gb      = var.data_disk_gb
  data_snapshot_id  = var.data_snapshot_id
  registry          = local.registry
  release           = var.release
  release_signer = {
    github_repository = var.release_signer == null ? var.github_repository : null
    public_key        = var.release_signer == null || var.release_signer == "none" ? null : var.release_signer
    unsigned          = var.release_signer == "none"
  }
  keep_pin           = local.keep_pin
  third_party_images = var.third_party_images
  host_views         = var.host_views
  secrets            = keys(var.host_secrets)
  keep_secrets_copy  = var.keep_secrets_copy
  aws_credentials    = module.roles.aws_credentials
  shared_volume      = var.shared_volume
  file_system_id     = one(module.shared_volume[*].file_system_id)
  access_point_id    = one(module.shared_volume[*].access_point_id)
  metrics_namespace  = local.metrics
  egress_ports       = var.egress_ports
  compose            = var.compose
  cosign             = var.cosign
  patch_window       = var.patch_window

  environment = merge(local.addresses, {
    RETRAIN_WORKERS            = tostring(var.workers)
    RETRAIN_HOME_LIMIT_GB      = var.shared_volume == "efs" ? tostring(var.shared_volume_gb) : ""
    AIRFLOW_WORKER_CONCURRENCY = tostring(var.worker_concurrency)
    AIRFLOW_WORKER_MEMORY      = var.worker_memory
    RETRAIN_RAW_BUCKET         = module.raw.name
    RETRAIN_STORE_BUCKET       = module.store.name
    RETRAIN_LEDGER_BUCKET      = module.ledger.name
    RETRAIN_MLFLOW_BUCKET      = module.artifacts.name
    RETRAIN_LANDED_QUEUES      = module.notifications.queue_urls_begin
    RETRAIN_REPOSITORY         = var.pipeline_repository
    RETRAIN_SLACK_CHANNEL      = var.slack_channel
    RETRAIN_CONTROL_PROFILE    = "control"
    RETRAIN_WATCH_PROFILE      = "watch"
    RETRAIN_MLFLOW_PROFILE     = "mlflow"
    AIRFLOW_SECRETS_BACKEND    = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
    AIRFLOW_SECRETS_BACKEND_KWARGS = jsonencode({
      connections_prefix         = "airflow/connections"
      variables_prefix           = "airflow/variables"
      connections_lookup_pattern = "^(${join("|", keys(var.airflow_connections))})$"
      variables_lookup_pattern   = "^(${join("|", keys(var.airflow_variables))})$"
      config_prefix              = null
    })
  })
}

module "backup" {
  source        = "../modules/backup"
  count         = var.enable_host ? 1 : 0
  name          = var.name
  account_id    = local.account
  partition     = local.partition
  kms_key_arn   = module.key.arn
  resource_arns = [module.host[0].data_volume_arn]
  keep_days     = var.backup_keep_days
  force_destroy = var.trial
}

# --- options: without them, Postgres and Redis run in the compose stack ---

module "database" {
  source                   = "../modules/database"
  count                    = var.enable_host && var.enable_database ? 1 : 0
  name                     = var.name
  kms_key_arn              = module.key.arn
  vpc_id                   = module.network[0].vpc_id
  subnet_ids               = values(module.network[0].data_subnet_ids)
  client_security_group_id = module.host[0].security_group_id
  protected                = !var.trial
}

module "redis" {
  source                   = "../modules/redis"
  count                    = var.enable_host && var.enable_redis ? 1 : 0
  name                     = var.name
  kms_key_arn              = module.key.arn
  vpc_id                   = module.network[0].vpc_id
  subnet_ids               = values(module.network[0].data_subnet_ids)
  client_security_group_id = module.host[0].security_group_id
}

# --- alarms and budget ---

module "alarms" {
  source         = "../modules/alarms"
  name           = var.name
  account_id     = local.account
  partition      = local.partition
  region         = var.region
  kms_key_arn    = module.key.arn
  emails         = var.alarm_emails
  namespace      = local.metrics
  queue_names    = module.notifications.queue_names
  host_enabled   = var.enable_host
  live           = var.live
  instance_id    = one(module.host[*].instance_id)
  volume_enabled = length(module.shared_volume) > 0
  file_system_id = one(module.shared_volume[*].file_system_id)
  volume_gb      = var.shared_volume_gb
}

check "alarms" {
  assert {
    condition     = !var.enable_host || var.live || var.release == null
    error_message = "A release is named, and live is false: there is no alarm on the watch, the memory and the disks. Set live = true."
  }
}

module "budget" {
  source      = "../modules/budget"
  name        = var.name
  monthly_usd = var.monthly_budget_usd
  topic_arn   = module.alarms.topic_arn
  emails      = var.alarm_emails
}
