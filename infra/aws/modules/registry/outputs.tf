output "urls" {
  description = "By image."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.repository_url }
}

output "arns" {
  value = [for repository in aws_ecr_repository.this : repository.arn]
}
