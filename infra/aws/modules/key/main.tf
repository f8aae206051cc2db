# One key for everything outside S3: messages, secrets, volumes, logs.

resource "aws_kms_key" "this" {
  description             = "${var.name}: messages, secrets, volumes, images"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheAccountDecidesByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.partition}:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        # An encrypted topic takes a message only from a service that may use its key. As AWS documents it, without a condition:
        # not every service passes aws:SourceAccount to KMS, and a missing one loses each message silently. Whose bucket, alarm
        # or budget may publish is in the policy of each topic, where AWS documents the conditions.
        Sid       = "ServicesPublish"
        Effect    = "Allow"
        Principal = { Service = ["s3.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
