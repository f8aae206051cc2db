output "arns" {
  description = "By role."
  value = merge(
    { host = aws_iam_role.host.arn },
    { for name, role in aws_iam_role.work : name => role.arn },
    { for role in aws_iam_role.prune : "prune" => role.arn },
  )
}

output "instance_profile" {
  # An instance that starts before its role may do anything fails at its first command.
  value      = aws_iam_instance_profile.host.name
  depends_on = [aws_iam_role_policy.host, aws_iam_role_policy_attachment.host_ssm, aws_iam_role_policy.work]
}

output "aws_credentials" {
  description = "The file that containers read as AWS credentials: no keys, one role each, taken with the host's role. A container without a profile of its own uses `run`."
  value = join("\n", [for profile, role in merge(aws_iam_role.work, { default = aws_iam_role.work["run"] }) : <<-PROFILE
    [${profile}]
    role_arn = ${role.arn}
    credential_source = Ec2InstanceMetadata
  PROFILE
  ])
}
