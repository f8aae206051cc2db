# A private bucket: versioned, encrypted, TLS only, never public, without ACLs.

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_145:SSE-S3 on purpose. Under it a single-part ETag is the MD5, so a push is proven without reading it back; under KMS it is not.
  #checkov:skip=CKV_AWS_18:Reads are recorded by CloudTrail's data events, which belong to the account and not to one bucket.
  #checkov:skip=CKV_AWS_144:One region. infra/docs/disaster-recovery.md says how a lost bucket is rebuilt.
  #checkov:skip=CKV2_AWS_62:Only the bucket where data lands sends notifications; see the module notifications.
  bucket              = var.name
  object_lock_enabled = var.object_lock_days != null
  force_destroy       = var.force_destroy
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "this" {
  count  = var.object_lock_days == null ? 0 : 1
  bucket = aws_s3_bucket_versioning.this.bucket

  rule {
    default_retention {
      mode = var.object_lock_mode
      days = var.object_lock_days
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  #checkov:skip=CKV_AWS_300:The first rule aborts them; the scanner sees the dynamic ones only. tests/bucket.tftest.hcl makes sure.
  bucket = aws_s3_bucket_versioning.this.bucket

  rule {
    id     = "abort-multipart"
    status = "Enabled"
    filter {}

    # A killed push leaves its upload open, unseen and paid for.
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  dynamic "rule" {
    for_each = var.expire_replaced_days == null ? [] : [var.expire_replaced_days]

    content {
      id     = "expire-replaced"
      status = "Enabled"
      filter {}

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  dynamic "rule" {
    for_each = var.archive_replaced_days == null ? [] : [var.archive_replaced_days]

    content {
      id     = "archive-replaced"
      status = "Enabled"
      filter {}

      # Instant retrieval: a replay reads an old version as it reads a new one.
      noncurrent_version_transition {
        noncurrent_days = rule.value
        storage_class   = "GLACIER_IR"
      }
    }
  }
}

locals {
  everything = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]

  tls_only = [{
    Sid       = "TlsOnly"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:*"
    Resource  = local.everything
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }]

  create_only = [
    {
      Sid       = "CreateOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.this.arn}/*"
      # The parts of a multipart upload carry no condition of their own; its completion does.
      Condition = {
        Null = { "s3:if-none-match" = "true" }
        Bool = { "s3:ObjectCreationOperation" = "true" }
      }
    },
    {
      Sid       = "NothingIsDeleted"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
      Resource  = "${aws_s3_bucket.this.arn}/*"
    },
  ]
}

locals {
  # Allowed here, so that a role of another account may write too; there its own policy must allow it as well. Nobody may delete.
  writers = flatten([for arn, prefixes in var.writers : [
    {
      Sid       = "Writes${substr(sha256(arn), 0, 8)}"
      Effect    = "Allow"
      Principal = { AWS = arn }
      Action    = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      Resource  = [for prefix in prefixes : "${aws_s3_bucket.this.arn}/${prefix}*"]
    },
    {
      Sid       = "Lists${substr(sha256(arn), 0, 8)}"
      Effect    = "Allow"
      Principal = { AWS = arn }
      Action    = "s3:ListBucket"
      Resource  = aws_s3_bucket.this.arn
      Condition = { StringLike = { "s3:prefix" = [for prefix in prefixes : "${prefix}*"] } }
    },
  ]])
}

resource "aws_s3_bucket_policy" "this" {
  # S3 refuses a policy while it is still deciding whether the bucket is public.
  bucket = aws_s3_bucket_public_access_block.this.bucket
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.tls_only, [for statement in local.create_only : statement if var.create_only], local.writers)
  })
}
