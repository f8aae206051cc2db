output "endpoint" {
  value = aws_db_instance.this.endpoint
}

output "secret_arn" {
  description = "Where RDS keeps user and password."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}
