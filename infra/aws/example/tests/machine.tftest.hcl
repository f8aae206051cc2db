mock_provider "aws" {
  mock_resource "aws_efs_access_point" {
    defaults = { arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1" }
  }
  mock_resource "aws_efs_file_system" {
    defaults = { arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1" }
  }
}

variables {
  name                     = "retrain"
  region                   = "us-east-1"
  account_id               = "123456789012"
  availability_zones       = ["us-east-1a", "us-east-1b"]
  kms_key_arn              = "arn:aws:kms:us-east-1:123456789012:key/1"
  vpc_id                   = "vpc-1"
  network_cidr             = "10.20.0.0/16"
  subnet_id                = "subnet-1"
  availability_zone        = "us-east-1a"
  instance_profile         = "retrain-host"
  registry                 = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
  secrets                  = ["fernet_key", "jwt_secret"]
  environment              = { RETRAIN_RAW_BUCKET = "raw" }
  aws_credentials          = "[default]\n"
  file_system_id           = "fs-1"
  access_point_id          = "fsap-1"
  metrics_namespace        = "Retrain/retrain"
  client_role_arn          = "arn:aws:iam::123456789012:role/retrain-host"
  client_security_group_id = "sg-1"
  ami_id                   = "ami-0123456789abcdef0"
  trial                    = true
  release_signer           = { github_repository = "example/trip-duration" }
  compose                  = { version = "2.40.3", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
}

run "the_host_starts_by_itself_and_nobody_reaches_it" {
  module {
    source = "../modules/host"
  }
  variables {
    release = "v1.2.0"
  }

  assert {
    condition     = base64gzip(output.user_data) == aws_instance.this.user_data_base64 && length(aws_instance.this.user_data_base64) < 16384
    error_message = "The machine gets something else, or more than EC2 takes."
  }
  assert {
    condition = alltrue([
      startswith(output.user_data, "#cloud-config"),
      can(yamldecode(output.user_data).runcmd),
      strcontains(output.user_data, "content: /retrain/host us-east-1"),
      strcontains(output.user_data, "content: v1.2.0"),
      one([for file in yamldecode(output.user_data).write_files : file.content if file.path == "/usr/local/lib/retrain/retrain_settings.py"]) == file("../modules/host/files/retrain_settings.py"),
    ])
    error_message = "cloud-init cannot read it, or it does not bring the program that fetches the rest."
  }
  assert {
    condition = alltrue([for name, file in output.files :
    jsondecode(aws_ssm_parameter.index.value)[name] == { path = file.path, mode = file.mode, sha256 = sha256(file.content) } && aws_ssm_parameter.file[name].value == base64gzip(file.content)])
    error_message = "The index is not that of the files."
  }
  assert {
    condition = alltrue(concat(
      [for name in ["retrain-deploy", "retrain-release", "retrain-settings", "retrain-stop", "retrain-patch", "retrain-install", "retrain-prepare", "retrain-heartbeat"] : output.files[name].path == "/usr/local/sbin/${name}" && output.files[name].mode == "0755"],
      [for name in ["retrain_deploy.py", "retrain_settings.py", "retrain_release.py", "running_host.py", "compose_shape.py"] : output.files[name].path == "/usr/local/lib/retrain/${name}"],
      [for name in ["retrain.service", "retrain-containers.service", "retrain-heartbeat.timer", "retrain-patch.timer"] : output.files[name].path == "/etc/systemd/system/${name}"],
    ))
    error_message = "A program or a unit is missing, or is where systemd does not look for it."
  }
  assert {
    condition     = strcontains(output.files["host.env"].content, "RETRAIN_HOST_SECRETS='fernet_key jwt_secret'\n") && strcontains(output.files["host.env"].content, "RETRAIN_SIGNER='github:example/trip-duration'\n")
    error_message = "The settings lack what the programs read."
  }
  assert {
    condition     = toset([for rule in aws_vpc_security_group_egress_rule.internet : rule.from_port]) == toset([443])
    error_message = "It reaches more than HTTPS."
  }
  assert {
    condition     = length(aws_security_group.this.ingress) == 0 && aws_instance.this.vpc_security_group_ids == toset([aws_security_group.this.id])
    error_message = "There is a way in."
  }
  assert {
    condition     = aws_instance.this.metadata_options[0].http_tokens == "required" && aws_instance.this.metadata_options[0].http_put_response_hop_limit == 2
    error_message = "IMDSv1 answers, or containers get no credentials."
  }
  assert {
    condition     = aws_instance.this.root_block_device[0].encrypted && aws_ebs_volume.trial[0].encrypted
    error_message = "A disk is in the clear."
  }
}

run "another_setting_is_another_parameter_and_the_same_user_data" {
  command = plan
  module {
    source = "../modules/host"
  }
  variables {
    release      = "v1.2.0"
    environment  = { RETRAIN_RAW_BUCKET = "raw", RETRAIN_SLACK_CHANNEL = "#others" }
    patch_window = { start = "Sat *-*-* 04:00:00 UTC", minutes = 60 }
    cosign       = { version = "3.0.7", sha256 = "1111111111111111111111111111111111111111111111111111111111111111" }
  }

  assert {
    condition     = output.user_data == run.the_host_starts_by_itself_and_nobody_reaches_it.user_data
    error_message = "A setting is in user data."
  }
  assert {
    condition     = toset([for name, file in output.files : name if file.content != run.the_host_starts_by_itself_and_nobody_reaches_it.files[name].content]) == toset(["host.env", "window.conf"])
    error_message = "The setting reaches no file of the host, or more than its own."
  }
}

run "a_deployments_disk_is_protected_and_can_come_from_a_copy" {
  command = plan
  module {
    source = "../modules/host"
  }
  variables {
    trial            = false
    data_snapshot_id = "snap-0123456789abcdef0"
    data_disk_gb     = 200
  }

  assert {
    condition     = aws_ebs_volume.data[0].snapshot_id == "snap-0123456789abcdef0" && aws_ebs_volume.data[0].size == 200 && aws_ebs_volume.data[0].final_snapshot && length(aws_ebs_volume.trial) == 0
    error_message = "The databases' disk is empty, or goes without a copy."
  }
}

run "cache_and_workspaces_may_be_on_the_data_disk" {
  command = plan
  module {
    source = "../modules/host"
  }
  variables {
    shared_volume   = "disk"
    file_system_id  = null
    access_point_id = null
    keep_pin        = true
    release_signer  = { unsigned = true }
  }

  assert {
    condition     = !strcontains(output.files["host.env"].content, "RETRAIN_HOME_VOLUME") && !strcontains(output.files["host.env"].content, "RETRAIN_VOLUME")
    error_message = "The host waits for a volume that is not there."
  }
  assert {
    condition     = strcontains(output.files["host.env"].content, "RETRAIN_KEEP_PIN='1'\n") && strcontains(output.files["host.env"].content, "RETRAIN_SIGNER='none'\n")
    error_message = "The choices do not reach the host."
  }
}

run "the_public_key_comes_to_the_host" {
  command = plan
  module {
    source = "../modules/host"
  }
  variables {
    release_signer = { public_key = "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n" }
  }

  assert {
    condition     = output.files["release.pub"].path == "/etc/retrain/release.pub" && strcontains(output.files["host.env"].content, "RETRAIN_SIGNER='key'\n")
    error_message = "The host cannot check the key's signatures."
  }
}

run "branches_secrets_in_settings_and_a_signer_that_is_not_chosen_are_refused" {
  command = plan
  module {
    source = "../modules/host"
  }
  variables {
    environment      = { SLACK_TOKEN = "xoxb-1" }
    release          = "main"
    compose          = { version = "2.40.3", sha256 = "unknown" }
    cosign           = { version = "3.0.6", sha256 = "unknown" }
    release_signer   = {}
    ami_id           = "latest"
    data_snapshot_id = "vol-1"
    shared_volume    = "nfs"
    patch_window     = { start = "Sun'; reboot", minutes = 10 }
    host_views       = ["/"]
  }
  expect_failures = [
    var.environment, var.release, var.compose, var.cosign, var.release_signer, var.ami_id, var.data_snapshot_id, var.shared_volume,
    var.patch_window, var.host_views,
  ]
}

run "the_volume_is_mounted_over_tls_through_its_access_point" {
  module {
    source = "../modules/shared_volume"
  }
  variables {
    subnet_ids = { us-east-1a = "subnet-1", us-east-1b = "subnet-2" }
  }

  assert {
    condition     = aws_efs_file_system.this.encrypted && length(aws_efs_mount_target.this) == 2
    error_message = "In the clear, or out of reach of a zone."
  }
  assert {
    condition = alltrue([
      jsondecode(aws_efs_file_system_policy.this.policy).Statement[0].Condition == { StringEquals = { "elasticfilesystem:AccessPointArn" = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1" } },
      !contains(jsondecode(aws_efs_file_system_policy.this.policy).Statement[0].Action, "elasticfilesystem:ClientRootAccess"),
      jsondecode(aws_efs_file_system_policy.this.policy).Statement[1].Effect == "Deny",
    ])
    error_message = "It is mounted past its access point, as root, or without TLS."
  }
}

run "data_has_no_way_out" {
  module {
    source = "../modules/network"
  }

  assert {
    condition     = aws_route_table_association.host.subnet_id == aws_subnet.host.id && alltrue([for subnet in aws_subnet.data : subnet.map_public_ip_on_launch != true])
    error_message = "A subnet of the databases reaches the internet."
  }
  assert {
    condition     = length(aws_default_security_group.closed.ingress) == 0 && length(aws_default_security_group.closed.egress) == 0
    error_message = "The default security group allows something."
  }
}

run "one_zone_is_refused" {
  command = plan
  module {
    source = "../modules/network"
  }
  variables {
    availability_zones = ["us-east-1a"]
    cidr               = "10.20.0.0/20"
  }
  expect_failures = [var.availability_zones, var.cidr]
}

run "the_database_keeps_its_own_password" {
  module {
    source = "../modules/database"
  }
  variables {
    subnet_ids = ["subnet-1", "subnet-2"]
  }

  assert {
    condition = alltrue([
      aws_db_instance.this.manage_master_user_password, aws_db_instance.this.password == null,
      aws_db_instance.this.storage_encrypted, aws_db_instance.this.deletion_protection, !aws_db_instance.this.publicly_accessible,
      !aws_db_instance.this.skip_final_snapshot, aws_db_instance.this.backup_retention_period >= 7,
    ])
    error_message = "A password in the state, or a database that is easily lost."
  }
}

run "redis_speaks_tls_to_the_hosts_alone" {
  module {
    source = "../modules/redis"
  }
  variables {
    subnet_ids = ["subnet-1", "subnet-2"]
  }

  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.at_rest_encryption_enabled && aws_vpc_security_group_ingress_rule.redis.referenced_security_group_id == "sg-1"
    error_message = "Redis is open, or in the clear."
  }
  assert {
    condition     = startswith(output.broker_url, "rediss://") && endswith(output.broker_url, ":6379/0?ssl_cert_reqs=required")
    error_message = "Workers would speak plain text to a server that speaks TLS, or to any server."
  }
}

run "a_backup_of_a_weekend_is_refused" {
  command = plan
  module {
    source = "../modules/backup"
  }
  variables {
    resource_arns = ["arn:aws:ec2:us-east-1:123456789012:volume/vol-1"]
    keep_days     = 3
  }
  expect_failures = [var.keep_days]
}

run "an_account_without_twelve_digits_is_refused" {
  command = plan
  module {
    source = "../modules/key"
  }
  variables {
    account_id = "1234"
  }
  expect_failures = [var.account_id]
}
