# The machine of the compose stack. It takes no login over the network, only Session Manager and the deployer's document.

data "aws_ssm_parameter" "ami" {
  count = var.ami_id == null ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

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
  ami                         = var.ami_id != null ? var.ami_id : nonsensitive(data.aws_ssm_parameter.ami[0].value)
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.this.id]
  associate_public_ip_address = true
  iam_instance_profile        = var.instance_profile
  ebs_optimized               = true

  user_data_base64            = base64gzip(local.user_data)
  user_data_replace_on_change = true

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

  lifecycle {
    # A new image of the system is a decision (terraform apply -replace), not a surprise in another change's plan.
    ignore_changes = [ami]
  }
}

# The databases outlive the machine.
resource "aws_ebs_volume" "data" {
  #checkov:skip=CKV2_AWS_9:It is, in the module backup, by its ARN; the scanner does not follow it there.
  availability_zone = var.availability_zone
  encrypted         = true
  kms_key_id        = var.kms_key_arn
  type              = "gp3"
  size              = var.data_disk_gb

  tags = { Name = "${var.name}-data" }
}

resource "aws_volume_attachment" "data" {
  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.data.id
  instance_id                    = aws_instance.this.id
  stop_instance_before_detaching = true
}

locals {
  user_data = templatefile("${path.module}/user_data.yaml.tftpl", {
    environment = merge(var.environment, {
      AWS_REGION               = var.region
      RETRAIN_REGISTRY         = var.registry
      RETRAIN_IMAGE_PREFIX     = "${var.registry}/${var.name}"
      RETRAIN_HOST_SECRETS     = join(" ", var.secrets)
      RETRAIN_SECRETS_FOLDER   = "${var.name}/host"
      RETRAIN_VOLUME           = var.file_system_id
      RETRAIN_ACCESS_POINT     = var.access_point_id
      RETRAIN_NAMESPACE        = var.metrics_namespace
      RETRAIN_WATCH_HEALTH_URL = var.watch_health_url
    })
    release         = var.release
    aws_credentials = base64encode(var.aws_credentials)
    # The program that decides to roll back comes with the host: it must not be part of the release that has just failed.
    scripts = merge({ "retrain-release" = file("${path.module}/../../../release/retrain_release.py") }, {
      for name in ["retrain-prepare", "retrain-deploy", "retrain-heartbeat"] : name => file("${path.module}/files/${name}")
    })
    agent = base64encode(jsonencode({
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
    }))
    compose_url    = "https://github.com/docker/compose/releases/download/v${var.compose.version}/docker-compose-linux-x86_64"
    compose_sha256 = var.compose.sha256
  })
}
