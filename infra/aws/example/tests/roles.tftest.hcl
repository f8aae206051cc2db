mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
}

variables {
  name                 = "retrain"
  account_id           = "123456789012"
  region               = "us-east-1"
  raw                  = { bucket_arn = "arn:aws:s3:::raw", prefixes = ["raw/yellow/"] }
  store                = { bucket_arn = "arn:aws:s3:::store", prefix = "dvc/" }
  ledger               = { bucket_arn = "arn:aws:s3:::ledger", prefix = "ledger/" }
  artifacts_bucket_arn = "arn:aws:s3:::mlflow"
  queue_arns           = ["arn:aws:sqs:us-east-1:123456789012:retrain-landed-trip_duration"]
  kms_key_arn          = "arn:aws:kms:us-east-1:123456789012:key/1"
  repository_arns      = ["arn:aws:ecr:us-east-1:123456789012:repository/retrain/airflow"]
  metrics_namespace    = "Retrain/retrain"
}

run "only_a_persons_role_deletes_from_s3" {
  module {
    source = "../modules/roles"
  }
  variables {
    operator_arns = ["arn:aws:iam::123456789012:role/operator"]
  }

  assert {
    condition = [
      for name, policy in merge({ host = aws_iam_role_policy.host.policy, prune = aws_iam_role_policy.prune[0].policy }, { for name, each in aws_iam_role_policy.work : name => each.policy }) :
      name if anytrue([for statement in jsondecode(policy).Statement : statement.Effect == "Allow" && anytrue([for action in flatten([statement.Action]) : can(regex("(?i)s3:(delete|\\*)|^\\*$", action))])])
    ] == ["prune"]
    error_message = "A role other than prune is allowed to delete."
  }
  assert {
    condition = alltrue([
      for policy in concat([aws_iam_role_policy.host.policy], [for each in aws_iam_role_policy.work : each.policy]) :
      anytrue([for statement in jsondecode(policy).Statement : statement.Effect == "Deny" && contains(flatten([statement.Action]), "s3:DeleteObject") && contains(flatten([statement.Action]), "s3:DeleteObjectVersion") && statement.Resource == "*"])
    ])
    error_message = "A role does not deny deletes: a policy attached later could allow them."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.prune[0].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "s3:DeleteObject")] == ["arn:aws:s3:::store/dvc/files/*"]
    error_message = "Prune deletes elsewhere than in the store's objects."
  }
}

run "only_the_run_looks_at_settings_and_it_changes_none" {
  module {
    source = "../modules/roles"
  }
  variables {
    topic_arn         = "arn:aws:sns:us-east-1:123456789012:retrain-landed"
    failed_queue_arns = ["arn:aws:sqs:us-east-1:123456789012:retrain-landed-failed-trip_duration"]
  }

  assert {
    condition = [
      for name, each in aws_iam_role_policy.work : name
      if anytrue([for statement in jsondecode(each.policy).Statement : contains(flatten([statement.Action]), "s3:GetBucketVersioning")])
    ] == ["run"]
    error_message = "A role other than run reads the buckets' settings, or run does not."
  }
  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_role_policy.work["run"].policy).Statement :
      [for action in flatten([statement.Action]) : can(regex(":(Get|List)", action))]
      if contains(["LookAtBucketSettings", "LookAtTheTopic", "CountFailedMessages"], try(statement.Sid, ""))
    ]))
    error_message = "Looking at settings may change something."
  }
}

run "work_is_confined_to_its_folders" {
  module {
    source = "../modules/roles"
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.work["run"].policy).Statement : statement.Resource
      if statement.Effect == "Allow" && anytrue([for action in flatten([statement.Action]) : contains(["s3:GetObject", "s3:PutObject"], action)])
    ])) == toset(["arn:aws:s3:::raw/raw/yellow/*", "arn:aws:s3:::store/dvc/*", "arn:aws:s3:::ledger/ledger/*"])
    error_message = "The run reads or writes outside of its folders."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.work["run"].policy).Statement : can(statement.Condition.StringLike["s3:prefix"])
      if statement.Effect == "Allow" && contains(flatten([statement.Action]), "s3:ListBucket")
    ])
    error_message = "The run lists a whole bucket."
  }
  assert {
    condition = !anytrue([
      for name in ["watch", "control"] : anytrue([for statement in jsondecode(aws_iam_role_policy.work[name].policy).Statement :
      statement.Effect == "Allow" && anytrue([for action in flatten([statement.Action]) : can(regex("(?i):(put|send|delete|create|update|\\*)", action))])])
    ])
    error_message = "A role that looks may change something."
  }
  assert {
    condition = alltrue([
      for policy in concat([aws_iam_role_policy.host.policy], [for each in aws_iam_role_policy.work : each.policy]) : alltrue([
        for statement in jsondecode(policy).Statement : contains(["ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"], try(tostring(statement.Action), "several"))
        if statement.Effect == "Allow" && contains(flatten([statement.Resource]), "*")
      ])
    ])
    error_message = "Something is allowed on every resource that could be allowed on one."
  }
}

run "without_a_queue_no_queue_is_read" {
  module {
    source = "../modules/roles"
  }
  variables {
    queue_arns = []
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.work["run"].policy, "sqs:")
    error_message = "A statement without a resource, which IAM refuses, or one on every queue."
  }
}

run "without_operators_nobody_prunes" {
  module {
    source = "../modules/roles"
  }

  assert {
    condition     = length(aws_iam_role.prune) == 0
    error_message = "There is a prune role that nobody asked for."
  }
}

run "wildcards_missing_slashes_and_whole_accounts_are_refused" {
  command = plan
  module {
    source = "../modules/roles"
  }
  variables {
    raw           = { bucket_arn = "arn:aws:s3:::raw", prefixes = ["raw/yellow"] }
    store         = { bucket_arn = "arn:aws:s3:::store", prefix = "*/" }
    ledger        = { bucket_arn = "arn:aws:s3:::ledger", prefix = "" }
    operator_arns = ["arn:aws:iam::123456789012:root"]
  }
  expect_failures = [var.raw, var.store, var.ledger, var.operator_arns]
}
