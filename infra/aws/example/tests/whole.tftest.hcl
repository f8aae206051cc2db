mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  region              = "us-east-1"
  pipeline_repository = "https://github.com/example/trip-duration.git"
  ami_id              = "ami-0123456789abcdef0"
  release_signer      = "none"
  compose             = { version = "2.40.3", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
}

run "by_default_databases_stay_in_the_compose_stack" {
  command = plan

  assert {
    condition     = length(module.database) == 0 && length(module.redis) == 0 && length(module.deployer) == 0 && length(module.host) == 1
    error_message = "An option is on that nobody asked for."
  }
  assert {
    condition     = contains(output.secrets, "airflow/connections/mlflow_default") && contains(output.secrets, "retrain/host/slack_token")
    error_message = "Slack's token or Airflow's key has no place."
  }
}

run "without_a_machine_the_data_stays" {
  command = plan
  variables {
    enable_host     = false
    enable_database = true
    enable_redis    = true
  }

  assert {
    condition     = length(module.host) + length(module.network) + length(module.shared_volume) + length(module.database) + length(module.redis) + length(module.backup) == 0 && output.instance_id == null
    error_message = "Something of the machine is there."
  }
}

run "a_frozen_pin_is_refused" {
  command = plan
  variables {
    airflow_variables = { trip_duration_release = "the pin" }
  }
  expect_failures = [var.airflow_variables]
}

run "a_region_that_is_none_is_refused" {
  command = plan
  variables {
    region = "Frankfurt"
    name   = "Retrain_Production"
  }
  expect_failures = [var.region, var.name]
}

run "a_repository_without_its_numbers_and_an_example_are_refused" {
  command = plan
  variables {
    github_repository        = "OWNER/NAME"
    pipeline_repository      = "https://github.com/OWNER/NAME.git"
    github_oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/example.com"
  }
  expect_failures = [var.github_owner_id, var.github_repository_id, var.pipeline_repository, var.github_oidc_provider_arn]
}

run "a_release_without_alarms_is_noticed" {
  command = plan
  variables {
    release = "v1.0.0"
  }
  expect_failures = [check.alarms]
}

run "a_deployment_says_who_signs_its_releases_and_which_image_its_machine_has" {
  command = plan
  variables {
    release_signer = null
    ami_id         = null
  }
  expect_failures = [var.release_signer, var.ami_id]
}

run "with_the_cache_on_the_data_disk_there_is_no_efs_and_no_alarm_on_it" {
  command = plan
  variables {
    shared_volume = "disk"
    airflow_url   = "https://airflow.example.com"
  }

  assert {
    condition     = length(module.shared_volume) == 0 && !contains(module.alarms.names, "retrain-volume-burst")
    error_message = "EFS is made or watched although nothing uses it."
  }
  assert {
    condition     = local.addresses == { RETRAIN_AIRFLOW_URL = "https://airflow.example.com" }
    error_message = "An address that was given is lost, or one that was not is empty."
  }
}

run "a_pipeline_in_another_repository_keeps_its_pin" {
  command = plan
  variables {
    release_signer       = null
    github_repository    = "example/deployment"
    github_owner_id      = "1"
    github_repository_id = "2"
  }

  assert {
    condition     = local.keep_pin
    error_message = "A release of the deployment would pin a tag that the pipeline's repository does not have."
  }
}

run "an_owner_whose_name_ends_like_another_is_another" {
  command = plan
  variables {
    release_signer       = null
    github_repository    = "ample/trip-duration"
    github_owner_id      = "1"
    github_repository_id = "2"
  }

  assert {
    condition     = local.keep_pin
    error_message = "A release would pin a tag of somebody else's repository."
  }
}

run "a_pipeline_in_the_deployments_own_repository_is_pinned_by_a_release" {
  command = plan
  variables {
    release_signer       = null
    github_repository    = "example/trip-duration"
    github_owner_id      = "1"
    github_repository_id = "2"
  }

  assert {
    condition     = !local.keep_pin
    error_message = "A release would not reach the daily runs."
  }
}

run "addresses_that_nobody_can_open_and_half_workers_are_refused" {
  command = plan
  variables {
    airflow_url        = "airflow.example.com"
    mlflow_url         = "https://mlflow.example.com/"
    workers            = 0
    worker_concurrency = 1.5
    worker_memory      = "3 GB"
  }
  expect_failures = [var.airflow_url, var.mlflow_url, var.workers, var.worker_concurrency, var.worker_memory]
}
