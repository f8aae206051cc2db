output "name" {
  # Known once the bucket may be used: its policy is in place.
  value = aws_s3_bucket_policy.this.bucket
}

output "arn" {
  value = aws_s3_bucket.this.arn
}
