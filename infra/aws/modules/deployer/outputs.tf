output "role_arn" {
  value = aws_iam_role.this.arn
}

output "document" {
  description = "What `aws ssm send-command` runs on the host."
  value       = aws_ssm_document.deploy.name
}
