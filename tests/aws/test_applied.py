"""The applied example root, checked through the account's own API; and a second plan, which changes nothing."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys

import pytest
import yaml
from terraform_cli import MODULES, ROOT

DAY = 86400

# Applying and destroying belong to the first and the last test of the session.
pytestmark = pytest.mark.timeout(1200)


# Attributes that a stand-in accepts and does not return unchanged; they differ between the two.
UNTOLD_BY_THE_ENFORCING = {"aws_cloudwatch_metric_alarm": {"*"}}
UNTOLD_BY_THE_DESCRIBING = {
    "aws_instance": {"vpc_security_group_ids"},  # forgotten where the address is public; the mocks see them
    "aws_sqs_queue": {"redrive_policy"},
    "aws_vpc_security_group_ingress_rule": {"description"},
    "aws_db_instance": {"performance_insights_enabled", "performance_insights_kms_key_id"},
    "aws_db_parameter_group": {"parameter"},
}


def surprises(changes: dict[str, set[str]], untold: dict[str, set[str]]) -> dict[str, set[str]]:
    """The changes of a second plan, without those of attributes that the stand-in does not return."""
    found = {}
    for address, attributes in changes.items():
        known = untold.get(next(part for part in address.split(".") if part.startswith("aws_")), set())
        if "*" not in known and attributes - known:
            found[address] = attributes - known
    return found


def test_a_second_plan_of_data_roles_and_messages_changes_nothing(enforced):
    assert surprises(enforced.changes(), UNTOLD_BY_THE_ENFORCING) == {}


def test_a_second_plan_of_the_machine_the_deployer_and_the_alarms_changes_nothing(described):
    assert surprises(described.changes(), UNTOLD_BY_THE_DESCRIBING) == {}


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


def test_each_queue_keeps_messages_and_gives_them_up_as_configured(enforced):
    sqs = enforced.account.client("sqs")

    def attributes(url: str) -> dict[str, str]:
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    queues, dead = enforced.outputs["queue_urls"], enforced.outputs["failed_queue_urls"]
    assert set(queues) == set(dead) == {"trip_duration", "green_tips"}
    for pipeline in queues:
        landed, failed = attributes(queues[pipeline]), attributes(dead[pipeline])
        assert int(landed["MessageRetentionPeriod"]) == int(failed["MessageRetentionPeriod"]) == 14 * DAY
        assert json.loads(landed["RedrivePolicy"]) == {"deadLetterTargetArn": failed["QueueArn"], "maxReceiveCount": 5}
        assert json.loads(failed["RedriveAllowPolicy"])["sourceQueueArns"] == [landed["QueueArn"]]


def test_every_queue_is_named_as_the_pipelines_files_name_it(enforced):
    begin = enforced.outputs["queue_urls_begin"]
    assert enforced.outputs["queue_urls"] == {name: f"{begin}{name}" for name in ("trip_duration", "green_tips")}


def test_a_tag_in_the_registry_never_moves_and_images_are_scanned(enforced):
    repositories = enforced.account.client("ecr").describe_repositories()["repositories"]
    assert {each["repositoryName"] for each in repositories} == {"retrain/airflow", "retrain/worker", "retrain/mlflow"}
    assert all(each["imageTagMutability"] == "IMMUTABLE" for each in repositories)
    assert all(each["imageScanningConfiguration"]["scanOnPush"] for each in repositories)


def test_every_secret_has_a_place_and_no_value_anywhere(enforced):
    secrets = enforced.account.client("secretsmanager")
    assert {each["Name"] for each in secrets.list_secrets()["SecretList"]} == set(enforced.outputs["secrets"])
    # Without a value AWS answers ResourceNotFoundException; this stand-in answers nothing.
    assert not secrets.get_secret_value(SecretId="retrain/host/postgres_password").get("SecretString")
    kinds = {resource["type"] for resource in enforced.state()}
    assert not kinds & {"aws_secretsmanager_secret_version", "random_password", "aws_iam_access_key"}


def test_the_database_is_closed_and_its_password_is_nobodys(described):
    (database,) = described.account.client("rds").describe_db_instances()["DBInstances"]
    assert (database["StorageEncrypted"], database["PubliclyAccessible"], database["MultiAZ"]) == (True, False, False)
    (kept,) = [each for each in described.state() if each["type"] == "aws_db_instance"]
    assert kept["instances"][0]["attributes"]["password"] is None


def test_the_shared_volume_is_encrypted_and_has_a_door_in_each_zone(described):
    efs = described.account.client("efs")
    (volume,) = efs.describe_file_systems()["FileSystems"]
    assert volume["Encrypted"]
    doors = efs.describe_mount_targets(FileSystemId=volume["FileSystemId"])["MountTargets"]
    assert {door["AvailabilityZoneName"] for door in doors} == {"us-east-1a", "us-east-1b"}
    (access,) = efs.describe_access_points(FileSystemId=volume["FileSystemId"])["AccessPoints"]
    assert access["PosixUser"]["Uid"] == 50000


def test_the_month_has_a_budget(enforced):
    (budget,) = enforced.account.client("budgets").describe_budgets(AccountId=enforced.account.number)["Budgets"]
    assert float(budget["BudgetLimit"]["Amount"]) == 250


def test_the_host_takes_no_connection_and_no_old_metadata_request(described):
    ec2 = described.account.client("ec2")
    (reservation,) = ec2.describe_instances()["Reservations"]
    (host,) = reservation["Instances"]
    assert host["InstanceId"] == described.outputs["instance_id"]
    metadata = host["MetadataOptions"]
    assert (metadata["HttpTokens"], metadata["HttpPutResponseHopLimit"]) == ("required", 2)
    filters = [{"Name": "group-name", "Values": ["retrain-host"]}]
    (group,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    assert group["IpPermissions"] == []
    assert {rule["FromPort"] for rule in group["IpPermissionsEgress"]} == {443, 2049, 5432, 6379}
    assert host.get("KeyName") is None


def test_another_slack_channel_or_another_script_leaves_the_machine_as_it_is(described):
    script = described.terraform.folder.parent / "modules/host/files/retrain-heartbeat"
    original = script.read_text()
    script.write_text(f"{original}# another line\n")
    try:
        plan = described.terraform.plan(
            *described.targets, "-var=slack_channel=#others", "-var=workers=4", "-var=store_prefix=elsewhere/"
        )
    finally:
        script.write_text(original)
    changed = {each["address"]: each["change"]["actions"] for each in plan["resource_changes"]}
    machine = {
        address: actions for address, actions in changed.items() if "aws_instance" in address or "aws_ebs" in address
    }
    assert set(map(tuple, machine.values())) <= {("no-op",), ("update",)}, machine
    assert changed['module.host[0].aws_ssm_parameter.file["host.env"]'] == ["update"]
    assert changed['module.host[0].aws_ssm_parameter.file["retrain-heartbeat"]'] == ["update"]
    assert changed["module.host[0].aws_ssm_parameter.index"] == ["update"]


def test_another_image_of_the_system_is_a_decision_that_the_plan_shows(described):
    plan = described.terraform.plan(*described.targets, "-var=ami_id=ami-1234567890abcdef0")
    (machine,) = [each for each in plan["resource_changes"] if each["address"] == "module.host[0].aws_instance.this"]
    assert machine["change"]["actions"] == ["delete", "create"]


def test_the_host_fetches_its_files_from_the_accounts_parameters(described, tmp_path):
    """The program of a new machine, with the real AWS command line against the account that Terraform filled."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "parameters").write_text("/retrain/host us-east-1\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "aws").symlink_to(ROOT / ".local/envs/release/bin/aws")
    (tmp_path / "bin" / "systemctl").symlink_to("/bin/true")
    done = subprocess.run(
        [sys.executable, MODULES / "modules/host/files/retrain_settings.py"],
        env={
            **described.account.environment(),
            "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
            "RETRAIN_ETC": str(tmp_path / "etc"),
            "RETRAIN_ROOT": str(tmp_path / "root"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    settings = (tmp_path / "root/etc/retrain/host.env").read_text()
    assert "RETRAIN_SLACK_CHANNEL='#retrain-alerts'\n" in settings
    assert "RETRAIN_WORKERS='2'\n" in settings
    assert "RETRAIN_HOME_VOLUME='/mnt/retrain/home'\n" in settings
    deploy = tmp_path / "root/usr/local/lib/retrain/retrain_deploy.py"
    assert deploy.read_bytes() == (MODULES / "modules/host/files/retrain_deploy.py").read_bytes()


def test_the_databases_disk_comes_back_from_a_copy_on_the_same_machine_and_no_plan_removes_it(described):
    """The steps of infra/docs/disaster-recovery.md, Postgres lost."""
    terraform, ec2 = described.terraform, described.account.client("ec2")
    host, settings = ["-target=module.host"], ["-input=false", "-no-color", "-var=trial=false"]
    attachment, disk = "module.host[0].aws_volume_attachment.data", "module.host[0].aws_ebs_volume.data[0]"

    def attached() -> dict[str, str]:
        filters = [{"Name": "attachment.instance-id", "Values": [described.outputs["instance_id"]]}]
        found = ec2.describe_volumes(Filters=filters)["Volumes"]
        return {
            volume["VolumeId"]: volume.get("SnapshotId", "")
            for volume in found
            if volume["Attachments"][0]["Device"] == "/dev/sdf"
        }

    try:
        terraform.run("apply", "-auto-approve", *host, *settings)  # a deployment's disk in place of a trial's
        refused = terraform.run("plan", "-destroy", "-json", *host, *settings, expect=(1,))
        assert "Instance cannot be destroyed" in refused
        (lost,) = attached()
        copy = ec2.create_snapshot(VolumeId=lost, Description="last night's")["SnapshotId"]
        refused = terraform.run("plan", "-json", *host, *settings, f"-var=data_snapshot_id={copy}", expect=(1,))
        assert "Instance cannot be destroyed" in refused
        ec2.detach_volume(VolumeId=lost, InstanceId=described.outputs["instance_id"], Device="/dev/sdf")
        terraform.run("state", "rm", attachment, disk)
        terraform.run("apply", "-auto-approve", *host, *settings, f"-var=data_snapshot_id={copy}")
        ((restored, made_of),) = attached().items()
        assert restored != lost
        assert made_of == copy
        assert described.outputs["instance_id"] == json.loads(terraform.run("output", "-json"))["instance_id"]["value"]
        # Without the copy's name in the settings the disk stays as well.
        later = terraform.plan(*host, "-var=trial=false")
        (change,) = [each["change"]["actions"] for each in later["resource_changes"] if each["address"] == disk]
        assert change == ["no-op"]
    finally:  # else nothing could remove this account
        terraform.run("state", "rm", attachment, disk)


def test_a_release_is_the_only_thing_that_the_document_takes(described):
    ssm = described.account.client("ssm")
    document = yaml.safe_load(ssm.get_document(Name=described.outputs["deploy_document"])["Content"])
    assert document["parameters"]["release"]["allowedPattern"] == r"^v[0-9]+\.[0-9]+\.[0-9]+$"
    assert document["mainSteps"][0]["inputs"]["runCommand"] == ["/usr/local/sbin/retrain-release '{{ release }}'"]


def test_the_deploy_role_pushes_and_asks_this_host_alone(described):
    iam = described.account.client("iam")
    role = described.outputs["roles"]["deploy"].rsplit("/", 1)[1]
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
    asked = next(each for each in statements if each["Action"] == "ssm:SendCommand")["Resource"]
    document, host = described.outputs["deploy_document"], described.outputs["instance_id"]
    assert [arn.split("/", 1)[1] for arn in asked] == [document, host]


def test_silence_is_an_alarm_and_every_alarm_tells_somebody(described):
    alarms = described.account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == 9
    topic = described.outputs["alarm_topic"]
    assert {(*alarm["AlarmActions"], *alarm["OKActions"]) for alarm in alarms} == {(topic, topic)}
    silent = {alarm["AlarmName"] for alarm in alarms if alarm["TreatMissingData"] == "breaching"}
    assert silent == {
        f"retrain-{name}" for name in ("watch-silent", "host-status", "host-memory", "host-disk", "host-data-disk")
    }


def test_the_readme_shows_what_a_plan_makes(described):
    table = runpy.run_path(str(MODULES / "plan_table.py"))["table"]
    made = table(
        described.terraform.plan("-state=none.tfstate", "-var=enable_database=false", "-var=event_pipelines={}")
    )
    assert made in (MODULES / "README.md").read_text(), f"The README's table is not the plan's, which is:\n{made}"
