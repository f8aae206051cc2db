# A marker lands -> S3 notifies the topic -> the queue of each pipeline that reads this folder keeps the message until its trigger
# has read it. A trigger deletes what it reads, so no two pipelines share a queue.

resource "aws_sns_topic" "landed" {
  name              = "${var.name}-landed"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "landed" {
  arn = aws_sns_topic.landed.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTheBucketPublishes"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.landed.arn
      Condition = {
        ArnEquals    = { "aws:SourceArn" = var.bucket_arn }
        StringEquals = { "aws:SourceAccount" = var.account_id }
      }
    }]
  })
}

resource "aws_s3_bucket_notification" "landed" {
  bucket = var.bucket_name

  dynamic "topic" {
    for_each = var.prefixes

    content {
      id            = "landed-${replace(trim(topic.value, "/"), "/", "-")}"
      topic_arn     = aws_sns_topic_policy.landed.arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = topic.value
      filter_suffix = var.marker
    }
  }
}

resource "aws_sqs_queue" "failed" {
  for_each                  = var.pipelines
  name                      = "${var.name}-landed-${each.key}-failed"
  message_retention_seconds = 14 * 86400
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "landed" {
  for_each                   = var.pipelines
  name                       = "${var.name}-landed-${each.key}"
  message_retention_seconds  = var.retention_days * 86400
  visibility_timeout_seconds = var.visibility_seconds
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.failed[each.key].arn
    maxReceiveCount     = var.max_receives
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "failed" {
  for_each  = var.pipelines
  queue_url = aws_sqs_queue.failed[each.key].url
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.landed[each.key].arn]
  })
}

locals {
  queues = merge(
    { for pipeline in keys(var.pipelines) : pipeline => aws_sqs_queue.landed[pipeline] },
    { for pipeline in keys(var.pipelines) : "${pipeline}-failed" => aws_sqs_queue.failed[pipeline] },
  )
}

resource "aws_sqs_queue_policy" "this" {
  for_each  = local.queues
  queue_url = each.value.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyTheTopicSends"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = each.value.arn
        Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.landed.arn } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = each.value.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "landed" {
  for_each             = var.pipelines
  topic_arn            = aws_sns_topic.landed.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.landed[each.key].arn
  raw_message_delivery = true # the body is S3's own event, without an envelope
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.failed[each.key].arn })

  # A list of objects, such as S3's Records, matches if one of its objects does. S3 writes a key as in an address, slashes apart.
  filter_policy_scope = "MessageBody"
  filter_policy       = jsonencode({ Records = { s3 = { object = { key = [{ prefix = replace(urlencode(each.value), "%2F", "/") }] } } } })

  depends_on = [aws_sqs_queue_policy.this]
}
