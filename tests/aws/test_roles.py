"""What the roles may do: real requests with each role's credentials, over TLS, decided by the applied policies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from accounts import Account
from botocore.exceptions import ClientError
from conftest import AppliedExample
from loopback import wait_until
from terraform_cli import ROOT

MARKER = "raw/yellow/dt=2020-03-05/_SUCCESS"
PART = "raw/yellow/dt=2020-03-05/part-0.parquet"
OBJECT = "dvc/files/md5/ab/cdef"
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403")

# Applying and destroying belong to the first and the last test of the session.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="session")
def owner(enforced: AppliedExample) -> Account:
    account, buckets = enforced.account, enforced.outputs["buckets"]
    s3 = account.client("s3")
    for key in (PART, MARKER, "raw/payroll/dt=2020-03-05/_SUCCESS"):
        s3.put_object(Bucket=buckets["raw"], Key=key, Body=b"trips")
    s3.put_object(Bucket=buckets["store"], Key=OBJECT, Body=b"model")
    s3.put_object(Bucket=buckets["store"], Key="payroll/object", Body=b"theirs")
    s3.put_object(
        Bucket=buckets["ledger"], Key="ledger/trip_duration/dt=2020-03-05/key/run.json", Body=b"{}", IfNoneMatch="*"
    )
    secrets = account.client("secretsmanager")
    for name in ("airflow/connections/mlflow_default", "retrain/host/fernet_key"):
        secrets.put_secret_value(SecretId=name, SecretString="{}")
    return account


@pytest.fixture(scope="session")
def host(owner: Account) -> Account:
    """The credentials that the machine's metadata service gives; every other role is taken with these."""
    return owner.role("retrain-host")


@pytest.fixture(scope="session")
def buckets(enforced: AppliedExample) -> dict[str, str]:
    return enforced.outputs["buckets"]


def refused(request: Callable[..., Any], **arguments: Any) -> None:
    with pytest.raises(ClientError) as error:
        request(**arguments)
    assert error.value.response["Error"]["Code"] in DENIED, str(error.value)


@pytest.fixture
def metadata_service(host: Account) -> Iterator[str]:
    """What a machine's metadata service answers to IMDSv2, with the host role's credentials."""
    told = {
        "AccessKeyId": "aws_access_key_id",
        "SecretAccessKey": "aws_secret_access_key",
        "Token": "aws_session_token",
    }
    credentials = {name: host.keys[key] for name, key in told.items()}
    credentials |= {"Code": "Success", "Type": "AWS-HMAC", "Expiration": "2099-01-01T00:00:00Z"}
    folder = "/latest/meta-data/iam/security-credentials/"
    pages = {"/latest/api/token": "token", folder: "retrain-host", f"{folder}retrain-host": json.dumps(credentials)}

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(pages[self.path].encode())

        do_PUT = do_GET  # noqa: N815 - http.server looks for this name

        def log_message(self, *_: object) -> None:
            """Keep the requests out of the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("profile", "role"),
    [("default", "run"), ("control", "control"), ("watch", "watch"), ("mlflow", "mlflow")],
)
def test_a_container_takes_its_role_with_the_hosts_credentials(enforced, metadata_service, tmp_path, profile, role):
    (tmp_path / "aws_credentials").write_text(enforced.outputs["aws_credentials"])
    environment = {name: value for name, value in enforced.account.environment().items() if "KEY" not in name}
    del environment["AWS_EC2_METADATA_DISABLED"]
    done = subprocess.run(
        [sys.executable, "-c", "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"],
        env=environment
        | {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws_credentials"),
            "AWS_PROFILE": profile,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata_service,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f":assumed-role/retrain-{role}/" in done.stdout


def test_the_run_reads_its_raw_data_by_version_and_nobody_elses(host, buckets):
    s3 = host.role("retrain-run").client("s3")
    (version,) = [
        v
        for v in s3.list_object_versions(Bucket=buckets["raw"], Prefix="raw/yellow/dt=")["Versions"]
        if v["Key"] == PART
    ]
    read = s3.get_object(Bucket=buckets["raw"], Key=PART, VersionId=version["VersionId"])
    assert read["Body"].read() == b"trips"
    refused(s3.get_object, Bucket=buckets["raw"], Key="raw/payroll/dt=2020-03-05/_SUCCESS")
    refused(s3.list_objects_v2, Bucket=buckets["raw"], Prefix="raw/payroll/")
    refused(s3.list_objects_v2, Bucket=buckets["raw"], Prefix="raw/")
    refused(s3.list_object_versions, Bucket=buckets["raw"])
    refused(s3.put_object, Bucket=buckets["raw"], Key=PART, Body=b"forged")
    refused(s3.list_objects_v2, Bucket=buckets["mlflow"])


def test_the_run_deletes_nothing_by_any_way(host, buckets):
    s3 = host.role("retrain-run").client("s3")
    for bucket, key in (
        ("store", OBJECT),
        ("ledger", "ledger/trip_duration/dt=2020-03-05/key/run.json"),
        ("raw", PART),
    ):
        refused(s3.delete_object, Bucket=buckets[bucket], Key=key)
        refused(s3.delete_objects, Bucket=buckets[bucket], Delete={"Objects": [{"Key": key}]})
        refused(s3.delete_object, Bucket=buckets[bucket], Key=key, VersionId="any")
        refused(s3.put_bucket_versioning, Bucket=buckets[bucket], VersioningConfiguration={"Status": "Suspended"})
        refused(s3.delete_bucket_policy, Bucket=buckets[bucket])
        refused(
            s3.put_bucket_lifecycle_configuration,
            Bucket=buckets[bucket],
            LifecycleConfiguration={
                "Rules": [{"ID": "x", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]
            },
        )
    assert s3.get_object(Bucket=buckets["store"], Key=OBJECT)["Body"].read() == b"model"


def test_the_run_writes_to_its_own_folders_alone(host, buckets):
    s3 = host.role("retrain-run").client("s3")
    s3.put_object(Bucket=buckets["store"], Key="dvc/files/md5/00/11", Body=b"new")
    upload = s3.create_multipart_upload(Bucket=buckets["store"], Key="dvc/files/md5/00/22")["UploadId"]
    s3.abort_multipart_upload(Bucket=buckets["store"], Key="dvc/files/md5/00/22", UploadId=upload)
    refused(s3.put_object, Bucket=buckets["store"], Key="payroll/object", Body=b"ours")
    refused(s3.get_object, Bucket=buckets["store"], Key="payroll/object")
    refused(s3.put_object, Bucket=buckets["ledger"], Key="elsewhere/run.json", Body=b"{}", IfNoneMatch="*")
    for fact in ("tags/v1.2.0", "pinned/0001", "counts/dt=2020-03-05/0001-key"):
        s3.put_object(Bucket=buckets["ledger"], Key=f"ledger/trip_duration/{fact}.json", Body=b"{}", IfNoneMatch="*")
    refused(s3.put_object, Bucket=buckets["mlflow"], Key="model", Body=b"{}")


def test_a_ledger_entry_is_created_once_and_outlives_its_owners_wish(owner, host, buckets):
    s3 = host.role("retrain-run").client("s3")
    key = "ledger/trip_duration/dt=2020-03-06/key/run.json"
    first = s3.put_object(Bucket=buckets["ledger"], Key=key, Body=b"first", IfNoneMatch="*")["VersionId"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=buckets["ledger"], Key=key, Body=b"second", IfNoneMatch="*")
    with pytest.raises(ClientError, match="AccessDenied"):
        owner.client("s3").delete_object(Bucket=buckets["ledger"], Key=key, VersionId=first)
    refused(
        s3.put_object_retention,
        Bucket=buckets["ledger"],
        Key=key,
        Retention={"Mode": "GOVERNANCE"},
        BypassGovernanceRetention=True,
    )
    assert s3.get_object(Bucket=buckets["ledger"], Key=key, VersionId=first)["Body"].read() == b"first"


def test_dvc_pushes_and_pulls_as_the_run_and_its_gc_is_refused(host, buckets, tmp_path):
    program = ROOT / "pipeline" / ".venv" / "bin" / "dvc"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DVC_NO_ANALYTICS": "1"} | host.role(
        "retrain-run"
    ).environment()
    endpoint = environment.pop("AWS_ENDPOINT_URL")

    def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    (tmp_path / "model").write_bytes(bytes(range(256)) * 80_000)  # 20 MB: in parts
    for each in (
        ("init", "--no-scm"),
        ("remote", "add", "--default", "store", f"s3://{buckets['store']}/dvc"),
        ("remote", "modify", "store", "endpointurl", endpoint),
        ("add", "model"),
        ("push",),
    ):
        done = dvc(*each)
        assert done.returncode == 0, done.stderr
    (tmp_path / "model").unlink()
    subprocess.run(["rm", "-r", tmp_path / ".dvc" / "cache"], check=True)
    assert dvc("pull").returncode == 0
    assert (tmp_path / "model").stat().st_size == 256 * 80_000
    (tmp_path / "model.dvc").unlink()
    swept = dvc("gc", "--workspace", "--cloud", "--force")
    assert "is not authorized to perform: s3:DeleteObject" in swept.stderr


def test_plain_http_is_refused_even_to_a_role_that_may_read(host, buckets):
    s3 = host.role("retrain-run").client("s3")
    assert s3.get_object(Bucket=buckets["raw"], Key=PART)
    # The header that a proxy in front sets for a client without TLS.
    s3.meta.events.register(
        "before-call.s3", lambda params, **_: params["headers"].update({"X-Forwarded-Proto": "http"})
    )
    refused(s3.get_object, Bucket=buckets["raw"], Key=PART)
    refused(s3.list_objects_v2, Bucket=buckets["raw"], Prefix="raw/yellow/")


def told(account: Account, queue: str) -> list[str]:
    """Take the messages that a queue has now; the keys of their objects."""
    sqs, keys = account.client("sqs"), []
    for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", ()):
        keys += [record["s3"]["object"]["key"] for record in json.loads(message["Body"]).get("Records", ())]
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return keys


def test_a_landed_marker_reaches_the_queue_of_its_own_pipeline_and_nothing_else_does(owner, host, enforced, buckets):
    run, queues = host.role("retrain-run"), enforced.outputs["queue_urls"]
    green = "raw/green/dt=2020-03-05/_SUCCESS"
    owner.client("s3").put_object(Bucket=buckets["raw"], Key=green, Body=b"")
    found = {pipeline: list[str]() for pipeline in queues}

    def received() -> bool:
        for pipeline, queue in queues.items():
            found[pipeline] += told(run, queue)
        return all(found.values())

    wait_until(received, "each marker's message arrives")
    received()
    assert {pipeline: set(keys) for pipeline, keys in found.items()} == {
        "trip_duration": {MARKER.replace("=", "%3D")},
        "green_tips": {green.replace("=", "%3D")},
    }
    for pipeline, queue in queues.items():
        refused(run.client("sqs").send_message, QueueUrl=queue, MessageBody="forged")
        refused(run.client("sqs").purge_queue, QueueUrl=queue)
        refused(host.role("retrain-watch").client("sqs").receive_message, QueueUrl=queue)
        assert told(owner, enforced.outputs["failed_queue_urls"][pipeline]) == []


def test_a_producer_lands_days_in_its_folder_and_neither_elsewhere_nor_over_anothers(owner, buckets, tmp_path):
    producer = owner.role("producer")
    part = tmp_path / "raw" / "yellow" / "dt=2019-12-31" / "part-0.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"trips")
    asked = ["--from", "2019-12-31", "--to", "2019-12-31", "--bucket", buckets["raw"]]
    landed = subprocess.run(
        [sys.executable, ROOT / "infra" / "local" / "trips", "land", *asked],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RETRAIN_STATE": str(tmp_path)} | producer.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert landed.returncode == 0, landed.stderr
    s3 = producer.client("s3")
    listed = s3.list_objects_v2(Bucket=buckets["raw"], Prefix="raw/yellow/dt=2019-12-31/")["Contents"]
    assert {entry["Key"].rpartition("/")[2] for entry in listed} == {"_SUCCESS", "part-0.parquet"}
    refused(s3.put_object, Bucket=buckets["raw"], Key="raw/green/dt=2019-12-31/_SUCCESS", Body=b"")
    refused(s3.put_object, Bucket=buckets["store"], Key="dvc/files/md5/ab/cd", Body=b"")
    refused(s3.delete_object, Bucket=buckets["raw"], Key="raw/yellow/dt=2019-12-31/_SUCCESS")
    refused(s3.get_object, Bucket=buckets["raw"], Key=PART)
    refused(s3.list_objects_v2, Bucket=buckets["raw"], Prefix="raw/")


@pytest.mark.parametrize("role", ["run", "control", "watch"])
def test_airflows_secrets_are_read_and_the_hosts_are_not(host, role):
    secrets = host.role(f"retrain-{role}").client("secretsmanager")
    assert secrets.get_secret_value(SecretId="airflow/connections/mlflow_default")["SecretString"] == "{}"
    refused(secrets.get_secret_value, SecretId="retrain/host/fernet_key")
    refused(secrets.put_secret_value, SecretId="airflow/connections/mlflow_default", SecretString="x")
    refused(secrets.list_secrets)


def test_the_watch_looks_and_changes_nothing(host, buckets):
    s3 = host.role("retrain-watch").client("s3")
    assert s3.head_object(Bucket=buckets["raw"], Key=MARKER)
    assert s3.list_objects_v2(Bucket=buckets["ledger"], Prefix="ledger/trip_duration/")["KeyCount"] >= 1
    refused(
        s3.put_object, Bucket=buckets["ledger"], Key="ledger/trip_duration/alerts/x.json", Body=b"{}", IfNoneMatch="*"
    )
    refused(s3.get_object, Bucket=buckets["store"], Key=OBJECT)
    refused(s3.delete_object, Bucket=buckets["raw"], Key=MARKER)


def test_the_control_role_has_no_data(host, buckets):
    s3 = host.role("retrain-control").client("s3")
    for bucket, key in (
        ("raw", PART),
        ("store", OBJECT),
        ("ledger", "ledger/trip_duration/dt=2020-03-05/key/run.json"),
    ):
        refused(s3.get_object, Bucket=buckets[bucket], Key=key)


def test_mlflow_keeps_artifacts_and_reaches_nothing_else(host, buckets):
    mlflow = host.role("retrain-mlflow")
    s3 = mlflow.client("s3")
    s3.put_object(Bucket=buckets["mlflow"], Key="1/run/artifacts/drift.png", Body=b"png")
    assert s3.get_object(Bucket=buckets["mlflow"], Key="1/run/artifacts/drift.png")["Body"].read() == b"png"
    refused(s3.delete_object, Bucket=buckets["mlflow"], Key="1/run/artifacts/drift.png")
    refused(s3.get_object, Bucket=buckets["store"], Key=OBJECT)
    refused(mlflow.client("secretsmanager").get_secret_value, SecretId="airflow/connections/mlflow_default")


def test_the_host_itself_has_its_secrets_and_no_data(host, buckets):
    assert host.client("secretsmanager").get_secret_value(SecretId="retrain/host/fernet_key")["SecretString"] == "{}"
    refused(host.client("secretsmanager").get_secret_value, SecretId="airflow/connections/mlflow_default")
    refused(host.client("s3").get_object, Bucket=buckets["raw"], Key=PART)
    refused(host.client("ec2").terminate_instances, InstanceIds=["i-0123456789abcdef0"])
    refused(
        host.client("iam").attach_role_policy,
        RoleName="retrain-run",
        PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
    )


def test_only_a_named_person_prunes_and_pruned_objects_can_be_brought_back(owner, host, buckets):
    refused(
        host.client("sts").assume_role,
        RoleArn=f"arn:aws:iam::{owner.number}:role/retrain-prune",
        RoleSessionName="tests",
    )
    iam = owner.client("iam")
    iam.create_user(UserName="operator")
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    iam.put_user_policy(UserName="operator", PolicyName="take", PolicyDocument=json.dumps(allowed))
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    person = Account(owner.url, owner.number, keys, owner.certificate)

    s3 = person.role("retrain-prune").client("s3")
    noted = f"ledger/trip_duration/pruned/dt=2020-03-05/{'k' * 64}/0001-removed.json"
    s3.put_object(Bucket=buckets["ledger"], Key=noted, Body=b"{}", IfNoneMatch="*")
    forged = "ledger/trip_duration/dt=2020-03-05/key/run.json"
    refused(s3.put_object, Bucket=buckets["ledger"], Key=forged, Body=b"forged", IfNoneMatch="*")
    owner.client("s3").put_object(Bucket=buckets["store"], Key="dvc/files/md5/99/99", Body=b"unreached")
    s3.delete_objects(Bucket=buckets["store"], Delete={"Objects": [{"Key": "dvc/files/md5/99/99"}], "Quiet": True})
    versions = s3.list_object_versions(Bucket=buckets["store"], Prefix="dvc/files/md5/99/")
    assert [marker["IsLatest"] for marker in versions["DeleteMarkers"]] == [True]
    refused(
        s3.delete_object,
        Bucket=buckets["store"],
        Key="dvc/files/md5/99/99",
        VersionId=versions["Versions"][0]["VersionId"],
    )
    refused(s3.delete_object, Bucket=buckets["ledger"], Key="ledger/trip_duration/dt=2020-03-05/key/run.json")
    refused(s3.delete_object, Bucket=buckets["store"], Key="payroll/object")
    refused(s3.put_object, Bucket=buckets["store"], Key=OBJECT, Body=b"forged")
    refused(
        person.client("sts").assume_role,
        RoleArn=f"arn:aws:iam::{owner.number}:role/retrain-run",
        RoleSessionName="tests",
    )
