# Alarms on things that nothing on the host can watch: the host itself, its watch, the queues, the shared volume.

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for service, source in {
      cloudwatch = "arn:${var.partition}:cloudwatch:${var.region}:${var.account_id}:alarm:${var.name}-*"
      budgets    = "arn:${var.partition}:budgets::${var.account_id}:*"
      } : {
      Sid       = "${title(service)}Publishes"
      Effect    = "Allow"
      Principal = { Service = "${service}.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = source }
      }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.emails
  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

locals {
  queues = merge([for pipeline, queue in var.queue_names : {
    "landed-waiting-${pipeline}" = {
      description = "A message of landed data of ${pipeline} has waited for an hour: its trigger does not read the queue."
      namespace   = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", statistic = "Maximum"
      dimensions  = { QueueName = queue }
      above       = 3600, period = 300, periods = 1, missing = "notBreaching"
    }
    "landed-failed-${pipeline}" = {
      description = "Messages of landed data of ${pipeline} could not be handled. Look at the triggerer's log, then redrive the dead-letter queue."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum"
      dimensions  = { QueueName = "${queue}-failed" }
      above       = 0, period = 300, periods = 1, missing = "notBreaching"
    }
  }]...)

  host = {
    host-status = {
      description = "The host or its hardware fails its checks."
      namespace   = "AWS/EC2", metric = "StatusCheckFailed", statistic = "Maximum"
      dimensions  = { InstanceId = var.instance_id }
      above       = 0, period = 60, periods = 5, missing = "breaching"
    }
  }

  # Before the first release nothing on the host sends these metrics, and silence is no fault. An alarm that is made after it goes
  # from INSUFFICIENT_DATA to ALARM if there is silence, and sends a mail; one that is red already changes no more and sends none.
  live = {
    host-memory = {
      description = "The host's memory is nearly used up: the next stage may be killed."
      namespace   = var.namespace, metric = "mem_used_percent", statistic = "Average"
      dimensions  = { InstanceId = var.instance_id }
      above       = 90, period = 300, periods = 3, missing = "breaching"
    }
    host-disk = {
      description = "The host's system disk fills: images and logs."
      namespace   = var.namespace, metric = "disk_used_percent", statistic = "Maximum"
      dimensions  = { InstanceId = var.instance_id, path = "/" }
      above       = 85, period = 300, periods = 2, missing = "breaching"
    }
    host-data-disk = {
      description = "The disk with Postgres and Prometheus fills."
      namespace   = var.namespace, metric = "disk_used_percent", statistic = "Maximum"
      dimensions  = { InstanceId = var.instance_id, path = "/srv/retrain" }
      above       = 85, period = 300, periods = 2, missing = "breaching"
    }
    watch-silent = {
      description = "The watch has said nothing for five minutes: nobody would tell Slack of a failure."
      namespace   = var.namespace, metric = "WatchHeartbeat", statistic = "Sum"
      dimensions  = { InstanceId = var.instance_id }
      below       = 1, period = 300, periods = 1, missing = "breaching"
    }
  }

  # EFS is never full and reports endless space: it only costs more. CloudWatch gets its size every 15 minutes.
  volume = {
    volume-size = {
      description = "The shared volume holds more than ${var.volume_gb} GB: caches and environments grow. See infra/docs/housekeeping.md; raise shared_volume_gb if it is right."
      namespace   = "AWS/EFS", metric = "StorageBytes", statistic = "Maximum"
      dimensions  = { FileSystemId = var.file_system_id, StorageClass = "Total" }
      above       = var.volume_gb * 1000000000, period = 3600, periods = 1, missing = "notBreaching"
    }
    volume-burst = {
      description = "The shared volume runs out of burst credits and will be slow. Give it provisioned or elastic throughput."
      namespace   = "AWS/EFS", metric = "BurstCreditBalance", statistic = "Minimum"
      dimensions  = { FileSystemId = var.file_system_id }
      below       = 200000000000, period = 300, periods = 3, missing = "notBreaching"
    }
  }

  alarms = merge(
    local.queues,
    { for name, alarm in local.host : name => alarm if var.host_enabled },
    { for name, alarm in local.live : name => alarm if var.host_enabled && var.live },
    { for name, alarm in local.volume : name => alarm if var.volume_enabled },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = can(each.value.above) ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = try(each.value.above, each.value.below)
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}
