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
  value = aws_ebs_volume.data.arn
}

output "user_data" {
  description = "The machine's commands at its start, for people and tests to read."
  value       = local.user_data
}
