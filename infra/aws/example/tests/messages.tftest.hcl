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
  name              = "retrain"
  account_id        = "123456789012"
  bucket_name       = "raw"
  bucket_arn        = "arn:aws:s3:::raw"
  kms_key_arn       = "arn:aws:kms:us-east-1:123456789012:key/1"
  prefixes          = ["raw/yellow/", "raw/green/"]
  namespace         = "Retrain/retrain"
  queue_name        = "retrain-landed"
  failed_queue_name = "retrain-landed-failed"
  host_enabled      = false
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
      aws_sqs_queue.failed.message_retention_seconds == 1209600,
      aws_sqs_queue.landed.message_retention_seconds == 1209600,
      jsondecode(aws_sqs_queue.landed.redrive_policy).maxReceiveCount == 5,
      aws_sqs_queue.landed.sqs_managed_sse_enabled && aws_sqs_queue.failed.sqs_managed_sse_enabled,
    ])
    error_message = "A message is lost, or kept in the clear."
  }
}

run "a_missing_slash_and_a_retention_that_sqs_does_not_have_are_refused" {
  command = plan
  module {
    source = "../modules/notifications"
  }
  variables {
    prefixes       = ["raw/yellow"]
    retention_days = 30
  }
  expect_failures = [var.prefixes, var.retention_days]
}

run "without_a_host_and_a_reader_only_what_failed_is_watched" {
  module {
    source = "../modules/alarms"
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset(["landed-failed"])
    error_message = "Alarms of a host that there is not."
  }
}

run "a_silent_watch_and_a_silent_host_are_alarms" {
  module {
    source = "../modules/alarms"
  }
  variables {
    host_enabled   = true
    queue_read     = true
    instance_id    = "i-0123456789abcdef0"
    file_system_id = "fs-0123456789abcdef0"
  }

  assert {
    condition     = alltrue([for name in ["watch-silent", "host-status", "host-memory", "host-disk", "host-data-disk"] : aws_cloudwatch_metric_alarm.this[name].treat_missing_data == "breaching"])
    error_message = "Silence passes as health."
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
    emails = ["ml-platform"]
  }
  expect_failures = [var.emails]
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
