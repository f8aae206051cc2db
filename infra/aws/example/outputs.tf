output "buckets" {
  value = {
    raw    = module.raw.name
    store  = module.store.name
    ledger = module.ledger.name
    mlflow = module.artifacts.name
  }
}

output "queue_url" {
  value = module.notifications.queue_url
}

output "failed_queue_url" {
  value = module.notifications.failed_queue_url
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

output "redis" {
  value = one(module.redis[*].endpoint)
}

output "aws_credentials" {
  description = "What containers read as AWS's credentials: no keys, the roles that they take."
  value       = module.roles.aws_credentials
}

output "alarm_topic" {
  value = module.alarms.topic_arn
}
