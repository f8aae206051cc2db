# Alarms on things that nothing on the host can watch: the host itself, its watch, the queue, the shared volume.

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsAndBudgetsPublish"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
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
  queue = {
    landed-failed = {
      description = "Messages of landed data could not be handled. Look at the triggerer's log, then redrive the dead-letter queue."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum"
      dimensions  = { QueueName = var.failed_queue_name }
      above       = 0, period = 300, periods = 1, missing = "notBreaching"
    }
  }

  reader = {
    landed-waiting = {
      description = "A message of landed data has waited for an hour: nobody reads the queue."
      namespace   = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", statistic = "Maximum"
      dimensions  = { QueueName = var.queue_name }
      above       = 3600, period = 300, periods = 1, missing = "notBreaching"
    }
  }

  host = {
    host-status = {
      description = "The host or its hardware fails its checks."
      namespace   = "AWS/EC2", metric = "StatusCheckFailed", statistic = "Maximum"
      dimensions  = { InstanceId = var.instance_id }
      above       = 0, period = 60, periods = 5, missing = "breaching"
    }
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
    volume-burst = {
      description = "The shared volume runs out of burst credits and will be slow. Give it provisioned or elastic throughput."
      namespace   = "AWS/EFS", metric = "BurstCreditBalance", statistic = "Minimum"
      dimensions  = { FileSystemId = var.file_system_id }
      below       = 200000000000, period = 300, periods = 3, missing = "notBreaching"
    }
  }

  alarms = merge(
    local.queue,
    { for name, alarm in local.reader : name => alarm if var.queue_read },
    { for name, alarm in local.host : name => alarm if var.host_enabled && (var.volume_enabled || name != "volume-burst") },
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
