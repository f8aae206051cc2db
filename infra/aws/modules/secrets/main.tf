# Places for secrets. The values are put there by a person (see infra/aws/README.md): none is in the code, the plan or the state.

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:Slack's and Git's tokens and Airflow's keys have no service that could rotate them; a person does, as README.md says.
  for_each                = var.secrets
  name                    = each.key
  description             = each.value
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_days
}
