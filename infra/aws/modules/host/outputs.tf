output "instance_id" {
  value = aws_instance.this.id
}

output "instance_arn" {
  value = aws_instance.this.arn
}

output "security_group_id" {
  value = aws_security_group.this.id
}

output "data_volume_arn" {
  value = local.data_volume.arn
}

output "settings_document" {
  description = "What `aws ssm send-command` runs on the host to apply changed settings at once."
  value       = aws_ssm_document.settings.name
}

output "files" {
  description = "The files of the host, by name: path, mode and content, for people and tests to read."
  value       = { for name, content in local.contents : name => { path = local.paths[name], mode = local.modes[name], content = content } }
}

output "user_data" {
  description = "The machine's commands at its start, for people and tests to read."
  value       = local.user_data
}
