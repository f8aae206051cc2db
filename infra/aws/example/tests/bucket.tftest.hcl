mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::retrain-trial" }
  }
}

variables {
  name = "retrain-trial"
}

run "private_versioned_encrypted_and_tls_only" {
  module {
    source = "../modules/bucket"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "A way to make the bucket public is open."
  }
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "Not versioned: an overwritten object would be lost."
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule[*].apply_server_side_encryption_by_default[0].sse_algorithm) == "AES256"
    error_message = "Under another encryption an ETag is no MD5, and every push would be read back to be proven."
  }
  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs decide."
  }
  assert {
    condition = jsondecode(aws_s3_bucket_policy.this.policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::retrain-trial", "arn:aws:s3:::retrain-trial/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "Plain HTTP is not refused to everybody, for the bucket and all that is in it."
  }
  assert {
    condition     = !aws_s3_bucket.this.object_lock_enabled && !aws_s3_bucket.this.force_destroy
    error_message = "Locked, or easily destroyed, though nobody asked for it."
  }
  assert {
    condition = alltrue([
      length(aws_s3_bucket_lifecycle_configuration.this.rule) == 1,
      aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 2,
      length(aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration) == 0,
      length(aws_s3_bucket_lifecycle_configuration.this.rule[0].expiration) == 0,
    ])
    error_message = "Objects expire, or open uploads stay."
  }
}

run "replaced_versions_move_or_go_only_where_asked" {
  module {
    source = "../modules/bucket"
  }
  variables {
    expire_replaced_days  = 30
    archive_replaced_days = 7
  }

  assert {
    condition = alltrue([
      [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.noncurrent_version_expiration[0].noncurrent_days if rule.id == "expire-replaced"] == [30],
      alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : alltrue([for expiration in rule.expiration : expiration.days == null || expiration.days == 0])]),
    ])
    error_message = "Current objects expire, or replaced ones do not."
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : one(rule.noncurrent_version_transition).storage_class if rule.id == "archive-replaced"] == ["GLACIER_IR"]
    error_message = "A replay would wait for hours for an old version."
  }
}

run "a_ledger_is_locked_and_create_only" {
  module {
    source = "../modules/bucket"
  }
  variables {
    create_only      = true
    object_lock_days = 365
  }

  assert {
    condition = alltrue([
      aws_s3_bucket.this.object_lock_enabled,
      aws_s3_bucket_object_lock_configuration.this[0].rule[0].default_retention[0].mode == "GOVERNANCE",
      aws_s3_bucket_object_lock_configuration.this[0].rule[0].default_retention[0].days == 365,
    ])
    error_message = "No lock."
  }
  assert {
    condition = contains(jsondecode(aws_s3_bucket_policy.this.policy).Statement, {
      Sid       = "CreateOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = "arn:aws:s3:::retrain-trial/*"
      Condition = { Null = { "s3:if-none-match" = "true" }, Bool = { "s3:ObjectCreationOperation" = "true" } }
    })
    error_message = "A write without If-None-Match is not refused."
  }
  assert {
    condition = contains(jsondecode(aws_s3_bucket_policy.this.policy).Statement, {
      Sid       = "NothingIsDeleted"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
      Resource  = "arn:aws:s3:::retrain-trial/*"
    })
    error_message = "Somebody may delete."
  }
}

run "dots_in_names_and_unknown_locks_are_refused" {
  command = plan
  module {
    source = "../modules/bucket"
  }
  variables {
    name             = "retrain.raw"
    object_lock_days = 0
    object_lock_mode = "SOFT"
  }
  expect_failures = [var.name, var.object_lock_days, var.object_lock_mode]
}

run "expiry_under_a_lock_is_refused" {
  command = plan
  module {
    source = "../modules/bucket"
  }
  variables {
    object_lock_days     = 365
    expire_replaced_days = 30
  }
  expect_failures = [var.expire_replaced_days]
}

run "a_producer_writes_to_its_folders_and_deletes_nothing" {
  module {
    source = "../modules/bucket"
  }
  variables {
    writers = { "arn:aws:iam::210987654321:role/producer" = ["raw/yellow/", "raw/green/"] }
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement if statement.Effect == "Allow"] == [
      {
        Sid       = "Writes2adc2998"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::210987654321:role/producer" }
        Action    = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource  = ["arn:aws:s3:::retrain-trial/raw/yellow/*", "arn:aws:s3:::retrain-trial/raw/green/*"]
      },
      {
        Sid       = "Lists2adc2998"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::210987654321:role/producer" }
        Action    = "s3:ListBucket"
        Resource  = "arn:aws:s3:::retrain-trial"
        Condition = { StringLike = { "s3:prefix" = ["raw/yellow/*", "raw/green/*"] } }
      },
    ]
    error_message = "It may write elsewhere, or delete."
  }
}

run "everybody_and_whole_buckets_are_refused_as_producers" {
  command = plan
  module {
    source = "../modules/bucket"
  }
  variables {
    writers = { "arn:aws:iam::210987654321:root" = ["raw/*"] }
  }
  expect_failures = [var.writers]
}
