mock_provider "aws" {
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
  mock_resource "aws_ssm_document" {
    defaults = { arn = "arn:aws:ssm:us-east-1:123456789012:document/retrain-deploy" }
  }
}

variables {
  name                 = "retrain"
  github_repository    = "example/trip-duration"
  github_owner_id      = "583231"
  github_repository_id = "1296269"
  repository_arns      = ["arn:aws:ecr:us-east-1:123456789012:repository/retrain/airflow"]
  kms_key_arn          = "arn:aws:kms:us-east-1:123456789012:key/1"
  secrets              = { "airflow/connections/slack_default" = "Slack" }
}

run "one_environment_asks_one_host_by_one_document" {
  module {
    source = "../modules/deployer"
  }
  variables {
    instance_arn = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if contains(flatten([statement.Action]), "ssm:SendCommand")] == [[
      "arn:aws:ssm:us-east-1:123456789012:document/retrain-deploy",
      "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0",
    ]]
    error_message = "It runs other commands, or elsewhere."
  }
  assert {
    condition     = alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : [for action in flatten([statement.Action]) : can(regex("^(ecr|ssm):[A-Za-z]+$", action)) && !can(regex("Delete", action))]]))
    error_message = "It may do more than push and ask."
  }
  assert {
    condition     = jsondecode(aws_ssm_document.deploy.content).parameters.release.allowedPattern == "^v[0-9]+\\.[0-9]+\\.[0-9]+$"
    error_message = "Anything could be put behind the command."
  }
  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition == {
      StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = [
          "repo:example/trip-duration:environment:production",
          "repo:example@583231/trip-duration@1296269:environment:production",
        ]
        "token.actions.githubusercontent.com:repository_id" = "1296269"
      }
      StringLike = {
        "token.actions.githubusercontent.com:ref"              = "refs/tags/v*"
        "token.actions.githubusercontent.com:job_workflow_ref" = "example/trip-duration/.github/workflows/release.yml@refs/tags/v*"
      }
    }
    error_message = "Another repository, workflow, branch or environment can take the role."
  }
}

run "without_a_host_it_asks_nobody" {
  module {
    source = "../modules/deployer"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this.policy, "ssm:")
    error_message = "It may send commands, though there is no host."
  }
}

run "an_account_that_knows_github_already_keeps_its_provider" {
  module {
    source = "../modules/deployer"
  }
  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "A second provider: IAM would answer EntityAlreadyExists."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Federated == "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    error_message = "The role trusts another provider than the account's."
  }
}

run "wildcards_and_names_in_place_of_numbers_are_refused" {
  command = plan
  module {
    source = "../modules/deployer"
  }
  variables {
    github_repository    = "example/*"
    github_owner_id      = "example"
    github_repository_id = "*"
    github_environment   = "prod*"
    github_workflow      = "*.yml"
  }
  expect_failures = [var.github_repository, var.github_owner_id, var.github_repository_id, var.github_environment, var.github_workflow]
}

run "images_are_scanned_and_tags_never_move" {
  module {
    source = "../modules/registry"
  }

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push])
    error_message = "A tag can move, or an image is not scanned."
  }
  assert {
    condition     = toset(keys(aws_ecr_repository.this)) == toset(["airflow", "worker", "mlflow"])
    error_message = "An image has no repository."
  }
}

run "a_registry_without_a_way_back_is_refused" {
  command = plan
  module {
    source = "../modules/registry"
  }
  variables {
    keep_releases = 1
  }
  expect_failures = [var.keep_releases]
}

run "a_secret_has_a_folder_and_no_value" {
  module {
    source = "../modules/secrets"
  }

  assert {
    condition     = aws_secretsmanager_secret.this["airflow/connections/slack_default"].kms_key_id == var.kms_key_arn && aws_secretsmanager_secret.this["airflow/connections/slack_default"].recovery_window_in_days == 30
    error_message = "Under another key, or gone at once."
  }
}

run "a_secret_outside_of_a_folder_is_refused" {
  command = plan
  module {
    source = "../modules/secrets"
  }
  variables {
    secrets       = { slack = "Slack" }
    recovery_days = 3
  }
  expect_failures = [var.secrets, var.recovery_days]
}
