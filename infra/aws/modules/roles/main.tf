# Who may do what. The host's own role cannot read data: each container takes the role of its work (see output aws_credentials).
#
#   host     starts the stack: pulls images, reads its own secrets, mounts the volume, takes the roles below
#   run      workers and triggerer: read raw, write the store, create in the ledger, read the queues
#   control  api-server, scheduler, dag-processor: Airflow's secrets, nothing else
#   watch    the watch: reads raw and ledger, changes nothing
#   mlflow   the tracking server: its own bucket
#   prune    a person, with this role for an hour: the only one that may delete from the store; notes in the ledger whose objects went

locals {
  secret = "arn:${var.partition}:secretsmanager:${var.region}:${var.account_id}:secret"

  trusts_host = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = aws_iam_role.host.arn }
      Action    = "sts:AssumeRole"
    }]
  })

  # Denied although nothing allows it, so that a policy attached later cannot allow it either.
  never_deletes = {
    Sid    = "NeverDeletes"
    Effect = "Deny"
    Action = [
      "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteBucket",
      "s3:BypassGovernanceRetention", "s3:PutObjectRetention", "s3:PutObjectLegalHold", "s3:PutBucketObjectLockConfiguration",
      "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy",
    ]
    Resource = "*"
  }

  # Airflow's secrets backend asks for airflow/connections/<id> and airflow/variables/<name>.
  read_airflow_secrets = [
    {
      Sid      = "AirflowsSecrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
      Resource = ["${local.secret}:${var.secrets_prefix}/connections/*", "${local.secret}:${var.secrets_prefix}/variables/*"]
    },
    local.decrypt_secrets,
  ]

  decrypt_secrets = {
    Sid       = "DecryptSecrets"
    Effect    = "Allow"
    Action    = "kms:Decrypt"
    Resource  = var.kms_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
  }

  # Listing is allowed within a folder only: the names of another team's objects are not ours to read.
  may_list = { for name, place in local.places : name => {
    Sid       = "List${title(name)}"
    Effect    = "Allow"
    Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
    Resource  = place.bucket_arn
    Condition = { StringLike = { "s3:prefix" = concat(place.prefixes, [for prefix in place.prefixes : "${prefix}*"]) } }
  } }
  may_read = { for name, place in local.places : name => {
    Sid      = "Read${title(name)}"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:GetObjectVersion"]
    Resource = [for prefix in place.prefixes : "${place.bucket_arn}/${prefix}*"]
  } }
  may_write = { for name, place in local.places : name => {
    Sid      = "Write${title(name)}"
    Effect   = "Allow"
    Action   = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    Resource = [for prefix in place.prefixes : "${place.bucket_arn}/${prefix}*"]
  } }

  # `make doctor` says which settings are wrong. It reads settings and counts, no object and no message.
  looked_at_by_doctor = concat(
    [{
      Sid    = "LookAtBucketSettings"
      Effect = "Allow"
      Action = [
        "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:GetBucketNotification", "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketPublicAccessBlock", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
      ]
      Resource = [for place in local.places : place.bucket_arn]
    }],
    [for topic in var.topic_arn[*] : {
      Sid      = "LookAtTheTopic"
      Effect   = "Allow"
      Action   = "sns:ListSubscriptionsByTopic"
      Resource = topic
    }],
    [for queues in [var.failed_queue_arns] : {
      Sid      = "CountFailedMessages"
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      Resource = queues
    } if length(queues) > 0],
  )

  places = {
    raw    = { bucket_arn = var.raw.bucket_arn, prefixes = var.raw.prefixes }
    store  = { bucket_arn = var.store.bucket_arn, prefixes = [var.store.prefix] }
    ledger = { bucket_arn = var.ledger.bucket_arn, prefixes = [var.ledger.prefix] }
  }
}

# --- host ---

resource "aws_iam_role" "host" {
  name = "${var.name}-host"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "host" {
  name = "starts-the-stack"
  role = aws_iam_role.host.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "TakeTheRolesOfTheStack"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = [for role in local.taken : role.arn]
      },
      {
        Sid      = "PullImages"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = var.repository_arns
      },
      {
        Sid      = "LogIntoTheRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Sid      = "OwnSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = "${local.secret}:${var.name}/host/*"
      },
      local.decrypt_secrets,
      {
        Sid       = "OwnMetrics"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = var.metrics_namespace } }
      },
      local.never_deletes,
    ])
  })
}

# Session Manager and Run Command in place of SSH. The managed policy follows what the agent needs.
resource "aws_iam_role_policy_attachment" "host_ssm" {
  role       = aws_iam_role.host.name
  policy_arn = "arn:${var.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "host" {
  name = "${var.name}-host"
  role = aws_iam_role.host.name
}

# --- what containers take ---

locals {
  work = {
    run = concat(
      [local.may_list.raw, local.may_read.raw],
      [local.may_list.store, local.may_read.store, local.may_write.store],
      [local.may_list.ledger, local.may_read.ledger, local.may_write.ledger],
      [for queues in [var.queue_arns] : {
        Sid      = "TakeLandedMessages"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
        Resource = queues
      } if length(queues) > 0],
      local.looked_at_by_doctor,
      local.read_airflow_secrets,
      [local.never_deletes],
    )

    control = concat(local.read_airflow_secrets, [local.never_deletes])

    watch = concat(
      [local.may_list.raw, local.may_read.raw, local.may_list.ledger, local.may_read.ledger],
      local.read_airflow_secrets,
      [local.never_deletes],
    )

    mlflow = [
      {
        Sid      = "ListArtifacts"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.artifacts_bucket_arn
      },
      {
        Sid      = "KeepArtifacts"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = "${var.artifacts_bucket_arn}/*"
      },
      local.never_deletes,
    ]
  }

  # By name, so that who may be taken is known without asking for a role's policy.
  taken = aws_iam_role.work
}

resource "aws_iam_role" "work" {
  for_each           = local.work
  name               = "${var.name}-${each.key}"
  assume_role_policy = local.trusts_host
}

resource "aws_iam_role_policy" "work" {
  for_each = local.work
  name     = each.key
  role     = aws_iam_role.work[each.key].id
  policy   = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

# --- a person's ---

resource "aws_iam_role" "prune" {
  count                = length(var.operator_arns) > 0 ? 1 : 0
  name                 = "${var.name}-prune"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.operator_arns }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "prune" {
  count = length(var.operator_arns) > 0 ? 1 : 0
  name  = "prune"
  role  = aws_iam_role.prune[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.may_list.ledger, local.may_read.ledger, local.may_list.store,
      {
        # Not DeleteObjectVersion: objects removed by mistake can be brought back until the bucket's lifecycle expires them.
        Sid      = "RemoveFromTheStore"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = "${var.store.bucket_arn}/${var.store.prefix}files/*"
      },
      {
        # Before anything is removed the ledger notes whose objects they are.
        Sid      = "NoteWhatWasRemoved"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.ledger.bucket_arn}/${var.ledger.prefix}*/pruned/*"
      },
    ]
  })
}
