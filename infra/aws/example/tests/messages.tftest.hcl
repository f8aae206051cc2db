mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:retrain-landed" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:us-east-1:123456789012:retrain-landed" }
  }
  mock_resource "aws_sns_topic_policy" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:retrain-landed" }
  }
}

variables {
  name         = "retrain"
  account_id   = "123456789012"
  bucket_name  = "raw"
  bucket_arn   = "arn:aws:s3:::raw"
  kms_key_arn  = "arn:aws:kms:us-east-1:123456789012:key/1"
  region       = "us-east-1"
  prefixes     = ["raw/yellow/", "raw/green/"]
  pipelines    = { trip_duration = "raw/yellow/", tips = "raw/yellow/of the day/" }
  namespace    = "Retrain/retrain"
  queue_names  = { trip_duration = "retrain-landed-trip_duration" }
  host_enabled = false
}

run "markers_alone_are_told_only_by_the_bucket_and_kept_for_two_weeks" {
  module {
    source = "../modules/notifications"
  }

  assert {
    condition = alltrue([
      toset(aws_s3_bucket_notification.landed.topic[*].filter_prefix) == toset(["raw/yellow/", "raw/green/"]),
      toset(aws_s3_bucket_notification.landed.topic[*].filter_suffix) == toset(["_SUCCESS"]),
    ])
    error_message = "Other objects than the markers fill the queue."
  }
  assert {
    condition = jsondecode(aws_sns_topic_policy.landed.policy).Statement[0].Condition == {
      ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::raw" }
      StringEquals = { "aws:SourceAccount" = "123456789012" }
    }
    error_message = "Any bucket may publish."
  }
  assert {
    condition = alltrue([for policy in aws_sqs_queue_policy.this : alltrue([
      jsondecode(policy.policy).Statement[0].Principal == { Service = "sns.amazonaws.com" },
      jsondecode(policy.policy).Statement[0].Condition == { ArnEquals = { "aws:SourceArn" = "arn:aws:sns:us-east-1:123456789012:retrain-landed" } },
      jsondecode(policy.policy).Statement[1].Effect == "Deny",
    ])])
    error_message = "Any topic may send, or over plain HTTP."
  }
  assert {
    condition = alltrue([
      alltrue([for queue in aws_sqs_queue.failed : queue.message_retention_seconds == 1209600 && queue.sqs_managed_sse_enabled]),
      alltrue([for queue in aws_sqs_queue.landed : queue.message_retention_seconds == 1209600 && queue.sqs_managed_sse_enabled]),
      alltrue([for queue in aws_sqs_queue.landed : jsondecode(queue.redrive_policy).maxReceiveCount == 5]),
    ])
    error_message = "A message is lost, or kept in the clear."
  }
  assert {
    condition = { for pipeline, each in aws_sns_topic_subscription.landed : pipeline => jsondecode(each.filter_policy).Records.s3.object.key if each.filter_policy_scope == "MessageBody" } == {
      trip_duration = [{ prefix = "raw/yellow/" }]
      tips          = [{ prefix = "raw/yellow/of+the+day/" }] # as S3 writes it into its message
    }
    error_message = "A pipeline's queue takes another one's messages."
  }
  assert {
    condition     = { for pipeline, queue in aws_sqs_queue.landed : pipeline => queue.name } == output.queue_names && alltrue([for pipeline, queue in aws_sqs_queue.failed : queue.name == "${output.queue_names[pipeline]}-failed"])
    error_message = "The alarms would watch queues of other names."
  }
}

run "a_missing_slash_and_a_retention_that_sqs_does_not_have_are_refused" {
  command = plan
  module {
    source = "../modules/notifications"
  }
  variables {
    prefixes       = ["raw/yellow"]
    pipelines      = {}
    retention_days = 30
  }
  expect_failures = [var.prefixes, var.retention_days]
}

run "a_pipeline_whose_data_the_bucket_does_not_report_is_refused" {
  command = plan
  module {
    source = "../modules/notifications"
  }
  variables {
    pipelines = { trip_duration = "raw/blue/" }
  }
  expect_failures = [var.pipelines]
}

run "a_pipeline_whose_queue_would_have_too_long_a_name_is_refused" {
  command = plan
  module {
    source = "../modules/notifications"
  }
  variables {
    pipelines = { a_pipeline_with_a_name_of_forty_six_characters = "raw/yellow/" }
  }
  expect_failures = [var.pipelines]
}

run "prefixes_inside_one_another_are_refused_as_s3_does" {
  command = plan
  module {
    source = "../modules/notifications"
  }
  variables {
    prefixes = ["raw/yellow/", "raw/yellow/tips/"]
  }
  expect_failures = [var.prefixes]
}

run "without_a_host_only_the_queues_are_watched" {
  module {
    source = "../modules/alarms"
  }

  assert {
    condition     = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.dimensions.QueueName } == { landed-waiting-trip_duration = "retrain-landed-trip_duration", landed-failed-trip_duration = "retrain-landed-trip_duration-failed" }
    error_message = "A queue is not watched, or there are alarms of a host that there is not."
  }
}

run "before_the_first_release_no_alarm_is_red_for_good_reason" {
  module {
    source = "../modules/alarms"
  }
  variables {
    queue_names    = {}
    host_enabled   = true
    volume_enabled = true
    instance_id    = "i-0123456789abcdef0"
    file_system_id = "fs-0123456789abcdef0"
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset(["host-status", "volume-size", "volume-burst"])
    error_message = "An alarm on what only a release reports."
  }
}

run "alarms_and_budgets_of_this_account_alone_publish" {
  module {
    source = "../modules/alarms"
  }

  assert {
    condition = { for statement in jsondecode(aws_sns_topic_policy.this.policy).Statement : statement.Principal.Service => statement.Condition } == {
      "cloudwatch.amazonaws.com" = {
        StringEquals = { "aws:SourceAccount" = "123456789012" }
        ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:retrain-*" }
      }
      "budgets.amazonaws.com" = {
        StringEquals = { "aws:SourceAccount" = "123456789012" }
        ArnLike      = { "aws:SourceArn" = "arn:aws:budgets::123456789012:*" }
      }
    }
    error_message = "Another account publishes, or a service that passes no such value cannot."
  }
}

run "a_silent_watch_a_silent_host_and_a_grown_volume_are_alarms" {
  module {
    source = "../modules/alarms"
  }
  variables {
    host_enabled   = true
    live           = true
    volume_enabled = true
    instance_id    = "i-0123456789abcdef0"
    file_system_id = "fs-0123456789abcdef0"
    volume_gb      = 300
  }

  assert {
    condition     = alltrue([for name in ["watch-silent", "host-status", "host-memory", "host-disk", "host-data-disk"] : aws_cloudwatch_metric_alarm.this[name].treat_missing_data == "breaching"])
    error_message = "Silence passes as health."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["volume-size"].threshold == 300000000000 && aws_cloudwatch_metric_alarm.this["volume-size"].dimensions == tomap({ FileSystemId = "fs-0123456789abcdef0", StorageClass = "Total" })
    error_message = "A volume that grows raises no alarm."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_actions == toset(["arn:aws:sns:us-east-1:123456789012:retrain-landed"]) && length(alarm.alarm_description) > 20])
    error_message = "An alarm tells nobody, or not what it means."
  }
}

run "an_address_that_is_none_is_refused" {
  command = plan
  module {
    source = "../modules/alarms"
  }
  variables {
    emails    = ["ml-platform"]
    volume_gb = 0
  }
  expect_failures = [var.emails, var.volume_gb]
}

run "a_budget_tells_before_the_money_is_spent" {
  module {
    source = "../modules/budget"
  }
  variables {
    monthly_usd = 250
    topic_arn   = "arn:aws:sns:us-east-1:123456789012:retrain-alarms"
  }

  assert {
    condition     = toset([for each in aws_budgets_budget.month.notification : "${each.notification_type} ${each.threshold}"]) == toset(["ACTUAL 80", "FORECASTED 100"])
    error_message = "Told too late."
  }
  assert {
    condition     = one(aws_budgets_budget.month.cost_filter).values == tolist(["user:project$retrain"])
    error_message = "It counts something else than this deployment."
  }
}

run "a_budget_of_nothing_is_refused" {
  command = plan
  module {
    source = "../modules/budget"
  }
  variables {
    monthly_usd = 0
    topic_arn   = "arn:aws:sns:us-east-1:123456789012:retrain-alarms"
  }
  expect_failures = [var.monthly_usd]
}
