output "buckets" {
  value = {
    raw    = module.raw.name
    store  = module.store.name
    ledger = module.ledger.name
    mlflow = module.artifacts.name
  }
}

output "queue_urls" {
  description = "By pipeline."
  value       = module.notifications.queue_urls
}

output "queue_urls_begin" {
  description = "RETRAIN_LANDED_QUEUES of the host: a pipeline's file adds the pipeline's name."
  value       = module.notifications.queue_urls_begin
}

output "failed_queue_urls" {
  description = "By pipeline."
  value       = module.notifications.failed_queue_urls
}

output "repositories" {
  value = module.registry.urls
}

output "roles" {
  value = merge(module.roles.arns, { for deployer in module.deployer : "deploy" => deployer.role_arn })
}

output "secrets" {
  description = "To be filled by hand: aws secretsmanager put-secret-value --secret-id NAME --secret-string file://VALUE"
  value       = keys(module.secrets.arns)
}

output "instance_id" {
  value = one(module.host[*].instance_id)
}

output "deploy_document" {
  value = one(module.deployer[*].document)
}

output "settings_document" {
  description = "Applies changed settings at once: aws ssm send-command --document-name …"
  value       = one(module.host[*].settings_document)
}

output "database" {
  description = "RDS: its address, and the secret with its user and password."
  value       = one([for each in module.database : { endpoint = each.endpoint, secret = each.secret_arn }])
}

output "broker_url" {
  description = "ElastiCache: the value of the secret <name>/host/broker_url."
  value       = one(module.redis[*].broker_url)
}

output "aws_credentials" {
  description = "What containers read as AWS's credentials: no keys, the roles that they take."
  value       = module.roles.aws_credentials
}

output "alarm_topic" {
  value = module.alarms.topic_arn
}

output "alarms" {
  value = module.alarms.names
}
