# The machine of the compose stack. It takes no login over the network, only Session Manager and the deployer's document.

resource "aws_security_group" "this" {
  name        = "${var.name}-host"
  description = "Reaches out, is not reached"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "internet" {
  for_each          = toset([for port in var.egress_ports : tostring(port)])
  security_group_id = aws_security_group.this.id
  description       = "AWS, Slack and the Git server"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_vpc_security_group_egress_rule" "network" {
  for_each          = { nfs = 2049, postgres = 5432, redis = 6379 }
  security_group_id = aws_security_group.this.id
  description       = "The shared volume and databases: ${each.key}"
  cidr_ipv4         = var.network_cidr
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_instance" "this" {
  #checkov:skip=CKV_AWS_88:The public address is for outgoing connections; there is no inbound rule. A NAT gateway would cost a quarter of the bill.
  #checkov:skip=CKV_AWS_126:Metrics every five minutes are enough for a daily run; urgent alerts come from the watch.
  ami                         = var.ami_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.this.id]
  associate_public_ip_address = true
  iam_instance_profile        = var.instance_profile
  ebs_optimized               = true

  user_data_base64 = base64gzip(local.user_data)

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # A container is one hop further than the host, and takes its role's credentials from there.
    http_put_response_hop_limit = 2
  }

  root_block_device {
    encrypted   = true
    kms_key_id  = var.kms_key_arn
    volume_type = "gp3"
    volume_size = var.system_disk_gb
  }

  tags = { Name = var.name }

  # The parameters are there before the machine asks for them.
  depends_on = [aws_ssm_parameter.index]

  lifecycle {
    # It only brings a new machine up; everything that changes later comes from the parameters.
    ignore_changes = [user_data_base64]
  }
}

# The databases outlive the machine. Only in a trial may Terraform remove their disk, so there are two resources: prevent_destroy takes no variable.
resource "aws_ebs_volume" "data" {
  #checkov:skip=CKV2_AWS_9:It is, in the module backup, by its ARN; the scanner does not follow it there.
  count             = var.trial ? 0 : 1
  availability_zone = var.availability_zone
  encrypted         = true
  kms_key_id        = var.kms_key_arn
  type              = "gp3"
  size              = var.data_disk_gb
  snapshot_id       = var.data_snapshot_id
  final_snapshot    = true

  tags = { Name = "${var.name}-data" }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_ebs_volume" "trial" {
  #checkov:skip=CKV2_AWS_9:It is, in the module backup, by its ARN; the scanner does not follow it there.
  count             = var.trial ? 1 : 0
  availability_zone = var.availability_zone
  encrypted         = true
  kms_key_id        = var.kms_key_arn
  type              = "gp3"
  size              = var.data_disk_gb
  snapshot_id       = var.data_snapshot_id

  tags = { Name = "${var.name}-data" }
}

resource "aws_volume_attachment" "data" {
  device_name                    = "/dev/sdf"
  volume_id                      = local.data_volume.id
  instance_id                    = aws_instance.this.id
  stop_instance_before_detaching = true
}

# Settings and programs: a change of them is a change of parameters, and the machine stays. The host fetches them before each release
# and each boot (files/retrain_settings.py). They hold no secret.
resource "aws_ssm_parameter" "file" {
  #checkov:skip=CKV2_AWS_34:Settings and programs, without secrets; every user of the host may read them.
  for_each = local.contents
  name     = "/${var.name}/host/files/${each.key}"
  type     = "String"
  tier     = "Intelligent-Tiering"
  value    = base64gzip(each.value)

  lifecycle {
    precondition {
      condition     = length(base64gzip(each.value)) <= 8192
      error_message = "${each.key} is larger than a parameter may be (8,192 bytes): split it."
    }
  }
}

resource "aws_ssm_parameter" "index" {
  #checkov:skip=CKV2_AWS_34:Paths and checksums of those files, no secrets.
  name = "/${var.name}/host/index"
  type = "String"
  tier = "Intelligent-Tiering"
  value = jsonencode({
    for name, content in local.contents : name => { path = local.paths[name], mode = local.modes[name], sha256 = sha256(content) }
  })

  # The host may read the new index only when the new files are there. In between it refuses the difference and keeps what it has.
  depends_on = [aws_ssm_parameter.file]
}

# Settings at once, without waiting for the next release: running stages get their 15 minutes.
resource "aws_ssm_document" "settings" {
  name            = "${var.name}-settings"
  document_type   = "Command"
  document_format = "JSON"
  content = jsonencode({
    schemaVersion = "2.2"
    description   = "Fetches settings and programs of the host, installs what is missing, and starts the release that is live with them."
    mainSteps = [{
      action = "aws:runShellScript"
      name   = "settings"
      inputs = {
        runCommand     = ["set -e", "/usr/local/sbin/retrain-settings", "/usr/local/sbin/retrain-install", "/usr/local/sbin/retrain-deploy"]
        timeoutSeconds = "3600"
      }
    }]
  })
}

locals {
  data_volume = one(concat(aws_ebs_volume.data, aws_ebs_volume.trial))

  # Who must have signed a release: `github:owner/name`, `key` or `none`.
  signer = var.release_signer.github_repository != null ? "github:${var.release_signer.github_repository}" : var.release_signer.public_key != null ? "key" : "none"

  environment = merge(var.environment, {
    for name, value in {
      AWS_REGION                 = var.region
      RETRAIN_REGISTRY           = var.registry
      RETRAIN_IMAGE_PREFIX       = "${var.registry}/${var.name}"
      RETRAIN_SIGNER             = local.signer
      RETRAIN_THIRD_PARTY_IMAGES = join(" ", var.third_party_images)
      RETRAIN_HOST_VIEWS         = length(var.host_views) > 0 ? join(" ", var.host_views) : null
      RETRAIN_KEEP_PIN           = var.keep_pin ? "1" : null
      RETRAIN_HOST_SECRETS       = join(" ", var.secrets)
      RETRAIN_SECRETS_FOLDER     = "${var.name}/host"
      RETRAIN_SECRETS_COPY       = var.keep_secrets_copy ? "/var/lib/retrain/secrets" : null
      RETRAIN_VOLUME             = var.file_system_id
      RETRAIN_ACCESS_POINT       = var.access_point_id
      RETRAIN_VOLUME_AT          = var.shared_volume == "efs" ? "/mnt/retrain" : null
      # A folder of the volume, not the mount point: while the volume is missing the folder is missing too, and nothing writes below it.
      RETRAIN_HOME_VOLUME      = var.shared_volume == "efs" ? "/mnt/retrain/home" : null
      RETRAIN_ORIGIN           = "/srv/retrain/origin.git"
      RETRAIN_NAMESPACE        = var.metrics_namespace
      RETRAIN_WATCH_HEALTH_URL = var.watch_health_url
      RETRAIN_PATCH_MINUTES    = tostring(var.patch_window.minutes)
      RETRAIN_COMPOSE_URL      = "https://github.com/docker/compose/releases/download/v${var.compose.version}/docker-compose-linux-x86_64"
      RETRAIN_COMPOSE_SHA256   = var.compose.sha256
      RETRAIN_COSIGN_URL       = "https://github.com/sigstore/cosign/releases/download/v${var.cosign.version}/cosign-linux-amd64"
      RETRAIN_COSIGN_SHA256    = var.cosign.sha256
    } : name => value if value != null
  })

  # Programs come with the host: what verifies a release, and decides to return from it, must not be part of the release.
  commands = toset(["retrain-deploy", "retrain-release", "retrain-settings", "retrain-stop", "retrain-patch", "retrain-install", "retrain-prepare", "retrain-heartbeat"])
  modules = merge(
    { for file in fileset("${path.module}/files", "*.py") : file => "${path.module}/files/${file}" },
    { for file in ["retrain_release.py", "running_host.py"] : file => "${path.module}/../../../release/${file}" },
  )
  units = toset([for file in fileset("${path.module}/units", "retrain*") : file])

  paths = merge(
    { for name in local.commands : name => "/usr/local/sbin/${name}" },
    { for name, file in local.modules : name => "/usr/local/lib/retrain/${name}" },
    { for name in local.units : name => "/etc/systemd/system/${name}" },
    {
      "disks.conf"            = "/etc/systemd/system/docker.service.d/disks.conf"
      "window.conf"           = "/etc/systemd/system/retrain-patch.timer.d/window.conf"
      "daemon.json"           = "/etc/docker/daemon.json"
      "host.env"              = "/etc/retrain/host.env"
      "aws_credentials"       = "/etc/retrain/aws_credentials"
      "cloudwatch-agent.json" = "/etc/retrain/cloudwatch-agent.json"
    },
    local.signer == "key" ? { "release.pub" = "/etc/retrain/release.pub" } : {},
  )
  modes = { for name in keys(local.paths) : name => contains(local.commands, name) ? "0755" : "0644" }

  contents = merge(
    { for name in local.commands : name => file("${path.module}/files/${name}") },
    { for name, file in local.modules : name => file(file) },
    { for name in setunion(local.units, ["disks.conf", "daemon.json"]) : name => file("${path.module}/units/${name}") },
    {
      "host.env"              = join("", [for name, value in local.environment : "${name}='${value}'\n"])
      "aws_credentials"       = var.aws_credentials
      "window.conf"           = "[Timer]\nOnCalendar=\nOnCalendar=${var.patch_window.start}\n"
      "cloudwatch-agent.json" = local.agent
    },
    local.signer == "key" ? { "release.pub" = var.release_signer.public_key } : {},
  )

  agent = jsonencode({
    agent = { metrics_collection_interval = 60, run_as_user = "cwagent" }
    metrics = {
      namespace         = var.metrics_namespace
      append_dimensions = { InstanceId = "$${aws:InstanceId}" }
      metrics_collected = {
        mem  = { measurement = ["mem_used_percent"] }
        disk = { measurement = ["used_percent"], resources = ["/", "/srv/retrain"], drop_device = true, ignore_file_system_types = ["tmpfs", "overlay"] }
      }
      # The alarms use only these dimensions, without the type of the file system.
      aggregation_dimensions = [["InstanceId"], ["InstanceId", "path"]]
    }
  })

  user_data = templatefile("${path.module}/user_data.yaml.tftpl", {
    parameters = "/${var.name}/host ${var.region}"
    settings   = file("${path.module}/files/retrain_settings.py")
    release    = var.release
  })
}
