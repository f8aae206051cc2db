"""The example root, applied: what the account's own API says of it, and that a second plan has nothing to do."""

from __future__ import annotations

import json
import runpy

import pytest
import yaml
from terraform_cli import MODULES

DAY = 86400

# Applying and destroying belong to the first and the last test of the session.
pytestmark = pytest.mark.timeout(1200)


def test_a_second_plan_changes_nothing(enforced):
    """Save for one thing that this stand-in keeps and does not tell; the other stand-in does, see below."""
    alarms = {address for address in enforced.changes() if ".aws_cloudwatch_metric_alarm." in address}
    assert {
        a: what for a, what in enforced.changes().items() if what != {"treat_missing_data"} or a not in alarms
    } == {}


def test_a_second_plan_of_host_deployer_and_alarms_changes_nothing(described):
    assert described.changes() == {}


def test_every_bucket_is_private_versioned_and_encrypted(enforced):
    s3 = enforced.account.client("s3")
    for name in enforced.outputs["buckets"].values():
        assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
        assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
        assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        assert [
            r["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
            for r in lifecycle
            if r["ID"] == "abort-multipart"
        ] == [2]


def test_versions_that_a_manifest_or_the_ledger_names_never_expire(enforced):
    s3 = enforced.account.client("s3")
    for kept in ("raw", "ledger"):
        rules = s3.get_bucket_lifecycle_configuration(Bucket=enforced.outputs["buckets"][kept])["Rules"]
        assert not [rule for rule in rules if "NoncurrentVersionExpiration" in rule or "Expiration" in rule]


def test_the_ledger_is_locked(enforced):
    lock = enforced.account.client("s3").get_object_lock_configuration(Bucket=enforced.outputs["buckets"]["ledger"])
    assert lock["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 3650}


def test_the_queue_keeps_and_gives_up_as_told(enforced):
    sqs = enforced.account.client("sqs")
    landed = sqs.get_queue_attributes(QueueUrl=enforced.outputs["queue_url"], AttributeNames=["All"])["Attributes"]
    failed = sqs.get_queue_attributes(QueueUrl=enforced.outputs["failed_queue_url"], AttributeNames=["All"])[
        "Attributes"
    ]
    assert int(landed["MessageRetentionPeriod"]) == int(failed["MessageRetentionPeriod"]) == 14 * DAY
    assert json.loads(landed["RedrivePolicy"]) == {"deadLetterTargetArn": failed["QueueArn"], "maxReceiveCount": 5}
    assert json.loads(failed["RedriveAllowPolicy"])["sourceQueueArns"] == [landed["QueueArn"]]


def test_a_tag_in_the_registry_never_moves_and_images_are_scanned(enforced):
    repositories = enforced.account.client("ecr").describe_repositories()["repositories"]
    assert {each["repositoryName"] for each in repositories} == {"retrain/airflow", "retrain/pipeline"}
    assert all(each["imageTagMutability"] == "IMMUTABLE" for each in repositories)
    assert all(each["imageScanningConfiguration"]["scanOnPush"] for each in repositories)


def test_no_secret_has_a_value_and_none_is_in_the_state(enforced):
    secrets = enforced.account.client("secretsmanager").list_secrets()["SecretList"]
    own = [each for each in secrets if each["Name"] in enforced.outputs["secrets"]]
    assert len(own) == len(enforced.outputs["secrets"]) == 7
    assert not [each["Name"] for each in own if each.get("SecretVersionsToStages")]
    state = json.loads((enforced.terraform.folder / "terraform.tfstate").read_text())
    kinds = {resource["type"] for resource in state["resources"]}
    assert not kinds & {"aws_secretsmanager_secret_version", "random_password", "aws_iam_access_key"}
    database = next(r for r in state["resources"] if r["type"] == "aws_db_instance")["instances"][0]["attributes"]
    assert database["password"] is None


def test_the_database_and_redis_are_closed_and_encrypted(enforced):
    (database,) = enforced.account.client("rds").describe_db_instances()["DBInstances"]
    assert (database["StorageEncrypted"], database["PubliclyAccessible"], database["MultiAZ"]) == (True, False, False)
    (redis,) = enforced.account.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert (redis["TransitEncryptionEnabled"], redis["AtRestEncryptionEnabled"]) == (True, True)


def test_each_night_the_disk_of_the_databases_is_copied(enforced):
    backup = enforced.account.client("backup")
    (plan,) = backup.list_backup_plans()["BackupPlansList"]
    (selection,) = backup.list_backup_selections(BackupPlanId=plan["BackupPlanId"])["BackupSelectionsList"]
    chosen = backup.get_backup_selection(BackupPlanId=plan["BackupPlanId"], SelectionId=selection["SelectionId"])
    volumes = enforced.account.client("ec2").describe_volumes(
        Filters=[{"Name": "tag:Name", "Values": ["retrain-data"]}]
    )
    (disk,) = volumes["Volumes"]
    assert disk["Encrypted"]
    assert [arn.rsplit("/", 1)[1] for arn in chosen["BackupSelection"]["Resources"]] == [disk["VolumeId"]]


def test_the_month_has_a_budget(enforced):
    (budget,) = enforced.account.client("budgets").describe_budgets(AccountId=enforced.account.number)["Budgets"]
    assert float(budget["BudgetLimit"]["Amount"]) == 250


def test_the_host_takes_no_connection_and_no_old_metadata_request(described):
    ec2 = described.account.client("ec2")
    (reservation,) = ec2.describe_instances()["Reservations"]
    (host,) = reservation["Instances"]
    assert host["InstanceId"] == described.outputs["instance_id"]
    assert (host["MetadataOptions"]["HttpTokens"], host["MetadataOptions"]["HttpPutResponseHopLimit"]) == (
        "required",
        2,
    )
    (group,) = ec2.describe_security_groups(GroupIds=[each["GroupId"] for each in host["SecurityGroups"]])[
        "SecurityGroups"
    ]
    assert group["IpPermissions"] == []
    assert {rule["FromPort"] for rule in group["IpPermissionsEgress"]} == {443, 2049, 5432, 6379}
    assert host.get("KeyName") is None


def test_a_release_is_the_only_thing_that_the_document_takes(described):
    ssm = described.account.client("ssm")
    document = yaml.safe_load(ssm.get_document(Name=described.outputs["deploy_document"])["Content"])
    assert document["parameters"]["release"]["allowedPattern"] == r"^v[0-9]+\.[0-9]+\.[0-9]+$"
    assert document["mainSteps"][0]["inputs"]["runCommand"] == ["/usr/local/sbin/retrain-deploy '{{ release }}'"]


def test_the_deploy_role_pushes_and_asks_this_host_alone(described):
    iam = described.account.client("iam")
    role = described.outputs["roles"]["deploy"].rsplit("/", 1)[1]
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
    asked = next(each for each in statements if each["Action"] == "ssm:SendCommand")["Resource"]
    assert [arn.split("/", 1)[1] for arn in asked] == [
        described.outputs["deploy_document"],
        described.outputs["instance_id"],
    ]


def test_silence_is_an_alarm_and_every_alarm_tells_somebody(described):
    alarms = described.account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == 8
    assert {alarm["AlarmActions"][0] for alarm in alarms} == {described.outputs["alarm_topic"]}
    silent = {alarm["AlarmName"] for alarm in alarms if alarm["TreatMissingData"] == "breaching"}
    assert silent == {
        f"retrain-{n}" for n in ("watch-silent", "host-status", "host-memory", "host-disk", "host-data-disk")
    }


def test_the_readme_shows_what_a_plan_makes(described):
    table = runpy.run_path(str(MODULES / "plan_table.py"))["table"]
    made = table(described.terraform.plan("-state=none.tfstate", "-var=release=null"))
    assert made in (MODULES / "README.md").read_text(), f"The README's table is not the plan's, which is:\n{made}"
