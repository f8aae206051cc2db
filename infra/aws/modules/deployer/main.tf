# The rights of a release: push its images, and ask one host to start them. GitHub identifies itself by OIDC; there is no key.

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.oidc_provider_arn == null ? 1 : 0
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

locals {
  github     = "token.actions.githubusercontent.com"
  repository = split("/", var.github_repository)

  # GitHub writes a repository's ids into the subject if it was made, renamed or moved after 15 July 2026, or has opted in.
  subjects = [for named in [
    var.github_repository,
    "${local.repository[0]}@${var.github_owner_id}/${local.repository[1]}@${var.github_repository_id}",
  ] : "repo:${named}:environment:${var.github_environment}"]
}

resource "aws_iam_role" "this" {
  name                 = "${var.name}-deploy"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = coalesce(var.oidc_provider_arn, one(aws_iam_openid_connect_provider.github[*].arn)) }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.github}:aud" = "sts.amazonaws.com"
          # An environment, not a branch: who may deploy is decided by its rules, in GitHub.
          "${local.github}:sub" = local.subjects
          # The old subject has names only. Another repository that gets the name later has another id.
          "${local.github}:repository_id" = var.github_repository_id
        }
        # Not a branch's own workflow that names the environment.
        StringLike = {
          "${local.github}:ref"              = "refs/tags/v*"
          "${local.github}:job_workflow_ref" = "${var.github_repository}/.github/workflows/${var.github_workflow}@refs/tags/v*"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "deploy"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "PushImages"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeImages",
          "ecr:DescribeImageScanFindings", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
        ]
        Resource = var.repository_arns
      },
      {
        Sid      = "LogIntoTheRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      ],
      [for instance in var.instance_arn[*] : {
        # Run Command asks for both: the document and the instance. AWS-RunShellScript is not among them.
        Sid      = "AskTheHost"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = [aws_ssm_document.deploy.arn, instance]
      }],
      [for instance in var.instance_arn[*] : {
        Sid      = "HearTheAnswer"
        Effect   = "Allow"
        Action   = "ssm:GetCommandInvocation"
        Resource = "*" # commands have no ARN to name
      }],
    )
  })
}

resource "aws_ssm_document" "deploy" {
  name            = "${var.name}-deploy"
  document_type   = "Command"
  document_format = "JSON"
  content = jsonencode({
    schemaVersion = "2.2"
    description   = "Brings a release to the host, images and pin, or what was live back."
    parameters = {
      release = {
        type           = "String"
        description    = "The release's tag"
        allowedPattern = "^v[0-9]+\\.[0-9]+\\.[0-9]+$"
      }
    }
    mainSteps = [{
      action = "aws:runShellScript"
      name   = "deploy"
      # The longest deploy and rollback takes 4,860 s; the host must be able to finish and report it.
      inputs = { runCommand = ["/usr/local/sbin/retrain-release '{{ release }}'"], timeoutSeconds = "5400" }
    }]
  })
}
