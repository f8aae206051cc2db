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

output "alarm_topic" {
  value = module.alarms.topic_arn
}
