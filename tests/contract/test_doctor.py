"""The doctor against real servers: it finds nothing wrong with a whole deployment, and names what is broken in a broken one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import git_server
import pytest
from live_servers import ROOT, free_ports
from slack_standin.running import Standin
from stack_model import LEDGER_BUCKET, RAW_BUCKET, REGION, STORE_BUCKET, Stack

from retrain.airflow.connections import Aws
from retrain.alerts.errors import SlackTokenError
from retrain.alerts.message.plain_text import Plain
from retrain.alerts.watch.slack.app_token import AppToken
from retrain.alerts.watch.slack.client import SlackClient
from retrain.alerts.watch.slack.posted import MessageLabel
from retrain.alerts.watch.slack.scopes import SCOPES, needed
from retrain.commands.command_line import main
from retrain.doctor import buckets, roles
from retrain.doctor.buckets import Place
from retrain.doctor.finding import Found
from retrain.store import bucket_settings

PIPELINE = ROOT / "dags" / "pipelines" / "trip_duration.yaml"
PNG = bytes.fromhex("89504e470d0a1a0a")
Doctor = Callable[..., tuple[int, dict[str, tuple[str, str, str]]]]


@pytest.fixture
def pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one pipeline, which a test may change."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "trips.yaml").write_text(PIPELINE.read_text())
    monkeypatch.setenv("RETRAIN_PIPELINES", str(folder))
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path))
    return folder


@pytest.fixture
def doctor(pipelines: Path, capfd: pytest.CaptureFixture[str], stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs some checks; returns the exit code, and state, sight and fix by thing. No answer may hold a secret of the stack."""
    assert pipelines
    monkeypatch.setenv("RETRAIN_AIRFLOW_URL", f"http://127.0.0.1:{free_ports(1)[0]}")  # Airflow is not up

    def run(*checks: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
        only = [word for check in checks for word in ("--only", check)]
        code = main(["--json", "doctor", *only])
        out = capfd.readouterr().out
        for secret in (stack.secrets.s3_secret_key, stack.secrets.slack_token, stack.secrets.fernet_key):
            assert secret not in out
        # In the tests' process Airflow has logged to standard output before.
        findings = json.loads(out[out.index('{\n "findings"') :])["findings"]
        return code, {each["thing"]: (each["found"], each["seen"], each["fix"]) for each in findings}

    return run


def wrong(found: dict[str, tuple[str, str, str]]) -> dict[str, str]:
    """What was seen of the things that are wrong. Each says how it is fixed."""
    assert all(fix for state, _, fix in found.values() if state == Found.WRONG)
    return {thing: seen for thing, (state, seen, _) in found.items() if state == Found.WRONG}


@pytest.fixture
def slack(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """The watch's variables for the stand-in; the pipeline's channel is #ours."""
    monkeypatch.setenv("RETRAIN_SLACK_TOKEN", standin.token)
    monkeypatch.setenv("RETRAIN_SLACK_API_URL", f"{standin.url}/api/")
    monkeypatch.setenv("RETRAIN_SLACK_CHANNEL", "#ours")
    return standin


def origin_at(folder: Path) -> Path:
    subprocess.run(["git", "init", "--bare", "--quiet", folder / "origin.git"], check=True)
    return folder / "origin.git"


def test_a_whole_deployment_has_nothing_wrong(
    doctor: Doctor, mlflow_server: Stack, slack: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mlflow_server
    assert slack
    monkeypatch.setenv("RETRAIN_REPOSITORY", str(origin_at(tmp_path)))
    code, found = doctor(
        "pipelines",
        "secrets",
        "aws",
        "mlflow",
        "buckets",
        "raw",
        "roles",
        "queues",
        "origin",
        "volume",
        "slack",
        "addresses",
    )
    assert (code, wrong(found)) == (0, {})
    assert {
        "connection aws_default",
        "connection mlflow_default",
        f"bucket raw ({RAW_BUCKET})",
        f"bucket raw ({RAW_BUCKET}): versions",
        f"bucket store ({STORE_BUCKET})",
        f"bucket ledger ({LEDGER_BUCKET})",
        f"clock beside {RAW_BUCKET}",
        "shared volume",
        "Slack's token",
        "Slack's channel #ours",
        "Slack's scopes",
        "addresses",
    } <= {thing for thing, (state, *_) in found.items() if state == Found.OK}


# --- Slack ---


def test_the_missing_scope_is_named_and_so_is_one_that_nothing_uses(doctor: Doctor, slack: Standin) -> None:
    slack.control("scopes", {"scopes": [*(needed([False]) - {"files:write"}), "users:read"]})
    code, found = doctor("slack")
    assert code == 1
    assert wrong(found) == {"Slack's scopes": "the token lacks files:write; nothing uses users:read"}


def test_a_scope_without_which_no_channel_is_found_is_named_too(doctor: Doctor, slack: Standin) -> None:
    slack.control("scopes", {"scopes": list(needed([False]) - {"groups:read"})})
    assert wrong(doctor("slack")[1])["Slack's scopes"] == "the token lacks groups:read"


def test_scopes_beyond_those_used_are_a_warning(doctor: Doctor, slack: Standin) -> None:
    slack.control("scopes", {"scopes": [*needed([False]), "users:read"]})
    code, found = doctor("slack")
    assert code == 0
    assert found["Slack's scopes"][:2] == (Found.WARNING, "nothing uses users:read")


@pytest.mark.parametrize("state", ["not_in_channel", "is_archived"])
def test_a_channel_that_the_app_cannot_post_to_is_wrong(doctor: Doctor, slack: Standin, state: str) -> None:
    slack.control("channels", {"name": "ours", "state": state})
    assert list(wrong(doctor("slack")[1])) == ["Slack's channel #ours"]


def test_a_refused_token_is_wrong(doctor: Doctor, slack: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slack
    monkeypatch.setenv("RETRAIN_SLACK_TOKEN", "xoxb-revoked")
    code, found = doctor("slack")
    assert code == 1
    assert "invalid_auth" in wrong(found)["Slack's token"]


def test_the_doctor_posts_nothing(doctor: Doctor, slack: Standin, tmp_path: Path, monkeypatch) -> None:
    webhook = tmp_path / "slack_webhook"
    webhook.write_text(f"{slack.url}/services/T0RETRAIN/B0RETRAIN/{slack.token}")
    monkeypatch.setenv("RETRAIN_SLACK_WEBHOOK_FILE", str(webhook))
    code, found = doctor("slack", "webhook")
    assert (code, wrong(found)) == (0, {})
    assert found["Slack's webhook"][0] == Found.OK
    assert [channel["messages"] for channel in slack.control("messages")["channels"]] == [[], []]


def test_a_revoked_webhook_is_wrong_and_its_address_is_not_printed(
    doctor: Doctor, slack: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = tmp_path / "slack_webhook"
    webhook.write_text(f"{slack.url}/services/T0RETRAIN/B0RETRAIN/revoked-and-secret")
    monkeypatch.setenv("RETRAIN_SLACK_WEBHOOK_FILE", str(webhook))
    code, found = doctor("webhook")
    assert code == 1
    assert "revoked-and-secret" not in str(found)


def test_the_table_of_scopes_is_that_of_the_requests_that_the_client_makes(standin: Standin) -> None:
    """Each of the client's requests succeeds with the scopes of the table, and all methods of the table are among them."""
    standin.control("scopes", {"scopes": list(needed([False]))})
    client = SlackClient(AppToken(standin.token), f"{standin.url}/api/", timeout=5, tries=0)
    label = MessageLabel("a")
    client.check("#ours")
    posted = client.post("#ours", Plain("one"), label)
    client.update(posted, Plain("two"), label)
    client.upload(posted, "a.png", PNG, "a")
    assert client.find("#ours", label, 0) == posted
    assert client.has_picture(posted, "a.png")
    assert {each["method"] for each in standin.control("requests")} - {"upload"} == set(SCOPES)


@pytest.mark.parametrize("scope", sorted(needed([False])))
def test_slack_refuses_the_client_without_any_one_of_its_scopes(standin: Standin, scope: str) -> None:
    client = SlackClient(AppToken(standin.token), f"{standin.url}/api/", timeout=5, tries=0)
    label = MessageLabel("a")
    posted = client.post("#ours", Plain("one"), label)
    standin.control("scopes", {"scopes": list(needed([False]) - {scope})})

    def work() -> None:
        client.check("#ours")
        client.post("#ours", Plain("one"), label)
        client.has_picture(posted, "a.png")
        client.upload(posted, "a.png", PNG, "a")

    with pytest.raises(SlackTokenError, match=f"it needs the scope {scope}"):
        work()


# --- connections ---


def test_a_connection_that_airflow_does_not_know_is_wrong(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_MLFLOW_DEFAULT")
    code, found = doctor("mlflow")
    assert code == 1
    assert "does not know it" in wrong(found)["connection mlflow_default"]


def test_an_address_at_which_no_mlflow_answers_is_wrong(doctor: Doctor, connection: Callable[..., str]) -> None:
    (port,) = free_ports(1)
    connection("mlflow_default", conn_type="http", host="127.0.0.1", port=port)
    code, found = doctor("mlflow")
    assert code == 1
    assert f"http://127.0.0.1:{port} did not answer" in wrong(found)["connection mlflow_default"]


def test_keys_that_aws_does_not_know_are_wrong(
    doctor: Doctor, s3_server: Stack, connection: Callable[..., str]
) -> None:
    extra = {"endpoint_url": s3_server.s3_url, "region_name": REGION}
    connection("aws_default", conn_type="aws", login="AKIAUNKNOWN", password="nobody-s-key", extra=extra)
    code, found = doctor("aws", "buckets")
    assert code == 1
    assert {"connection aws_default", f"bucket raw ({RAW_BUCKET})"} <= set(wrong(found))


def test_an_airflow_that_does_not_answer_is_wrong_and_says_where_it_was_asked(doctor: Doctor) -> None:
    code, found = doctor("airflow")
    assert code == 1
    assert "did not answer" in wrong(found)["Airflow"]


@pytest.mark.slow
def test_the_slots_of_the_workers_are_asked_from_the_workers(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real Celery worker with three threads. Its broker is in this process's memory."""
    from celery import Celery
    from celery.contrib.testing.worker import start_worker

    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "memory://")
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "3")
    app = Celery(broker="memory://", backend="cache+memory://")
    with start_worker(app, pool="threads", concurrency=3, perform_ping_check=False, shutdown_timeout=30):
        code, found = doctor("slots")
        assert code == 0
        assert found["slots"][:2] == (Found.OK, "parallelism is 3, and 1 workers have 3 slots")
        monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "16")
        assert doctor("slots")[1]["slots"][0] == Found.WARNING
        # Beside the scheduler in its container: only the scheduler's own command makes the parallelism of these two.
        monkeypatch.delenv("AIRFLOW__CORE__PARALLELISM")
        monkeypatch.setenv("AIRFLOW__CELERY__WORKER_CONCURRENCY", "3")
        monkeypatch.setenv("RETRAIN_WORKERS", "1")
        assert doctor("slots")[1]["slots"][:2] == (Found.OK, "parallelism is 3, and 1 workers have 3 slots")
    code, found = doctor("slots")
    assert code == 1
    assert "no worker answers" in wrong(found)["slots"]


def test_a_broker_that_does_not_answer_is_wrong_and_its_password_is_not_printed(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", f"redis://:a-password@{address}/0")
    code, found = doctor("slots")
    assert code == 1
    assert f"{address}/0 cannot be asked" in wrong(found)["slots"]
    assert "a-password" not in str(found)


# --- buckets ---


def test_a_raw_bucket_without_versions_is_wrong(
    doctor: Doctor, bucket: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = bucket()
    monkeypatch.setenv("RETRAIN_RAW_BUCKET", name)
    code, found = doctor("buckets")
    assert code == 1
    assert list(wrong(found)) == [f"bucket raw ({name}): versions"]
    assert name in found[f"bucket raw ({name}): versions"][2]


def test_raw_data_of_another_layout_than_the_file_s_is_wrong(
    doctor: Doctor, s3: Any, bucket: Callable[..., str], pipelines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = bucket(versioned=True)
    monkeypatch.setenv("RETRAIN_RAW_BUCKET", name)
    s3.put_object(Bucket=name, Key="raw/yellow/dt=2020-03-01/part-0.parquet", Body=b"rows")
    assert doctor("raw")[1]["raw data of trips"][:2] == (Found.OK, "2020-03-01 is the first day")
    file = pipelines / "trips.yaml"
    file.write_text(file.read_text().replace("raw:\n", "raw:\n  partition: d{partition}*.parquet\n"))
    code, found = doctor("raw")
    assert code == 1
    assert "dt=2020-03-01/part-0.parquet" in wrong(found)["raw data of trips"]


def test_raw_data_that_cannot_be_listed_is_wrong(
    doctor: Doctor, s3_server: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert s3_server
    monkeypatch.setenv("RETRAIN_RAW_BUCKET", "nobodys-bucket")
    assert "NoSuchBucket" in wrong(doctor("raw")[1])["raw data of trips"]


def test_a_bucket_that_is_not_there_is_wrong(doctor: Doctor, s3_server: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert s3_server
    monkeypatch.setenv("RETRAIN_STORE_BUCKET", "nobodys-bucket")
    code, found = doctor("buckets")
    assert code == 1
    assert "NoSuchBucket" in wrong(found)["bucket store (nobodys-bucket)"]


def test_the_settings_of_a_bucket_are_read_from_the_server(s3: Any, bucket: Callable[..., str]) -> None:
    """An open bucket first; then with what infra/aws makes, and one rule that must not be."""
    place = Place("ledger", f"s3://{bucket(versioned=True)}/ledger")

    def found() -> dict[str, Found]:
        findings = buckets.check_place(place, s3, region="")
        return {each.thing.rpartition(": ")[2]: each.found for each in findings}

    def public_access(*, blocked: bool) -> None:
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=place.bucket, PublicAccessBlockConfiguration=dict.fromkeys(names, blocked))

    public_access(blocked=False)
    assert {thing for thing, state in found().items() if state is Found.WRONG} == {"access", "lock"}
    public_access(blocked=True)
    retention = {"Mode": "GOVERNANCE", "Days": 1}
    s3.put_object_lock_configuration(
        Bucket=place.bucket,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    )
    elsewhere = {"And": {"Prefix": "tmp/", "Tags": [{"Key": "kept", "Value": "no"}]}}
    rules = [{"ID": "elsewhere", "Status": "Enabled", "Filter": elsewhere, "Expiration": {"Days": 1}}]
    s3.put_bucket_lifecycle_configuration(Bucket=place.bucket, LifecycleConfiguration={"Rules": rules})
    assert not {thing for thing, state in found().items() if state is Found.WRONG}
    rules.append({"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}})
    s3.put_bucket_lifecycle_configuration(Bucket=place.bucket, LifecycleConfiguration={"Rules": rules})
    assert {thing for thing, state in found().items() if state is Found.WRONG} == {"lifecycle"}


def test_the_probes_of_a_role_leave_no_object_version_or_upload(s3: Any, bucket: Callable[..., str]) -> None:
    name = bucket(versioned=True)
    folders = {use: f"s3://{name}/{use}" for use in ("raw", "store", "ledger")}
    said = roles.deviations(s3, "default", folders)
    assert said == [  # this account may do everything
        "it may write raw, and must not",
        "it may delete versions in raw, and must not",
        "it may delete versions in store, and must not",
        "it may delete versions in ledger, and must not",
    ]
    versions = s3.list_object_versions(Bucket=name)
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")
    assert not s3.list_multipart_uploads(Bucket=name).get("Uploads")


def test_a_bucket_s_first_key_comes_with_the_server_s_time(s3: Any, bucket: Callable[..., str]) -> None:
    name = bucket()
    s3.put_object(Bucket=name, Key="raw/a", Body=b"x")
    key, now = bucket_settings.first_key(s3, f"s3://{name}/raw")
    assert key == "raw/a"
    assert now is not None


# --- queues ---


@pytest.fixture
def event_pipeline(pipelines: Path, s3_server: Stack) -> Callable[[str], None]:
    """Makes the pipeline one that is started by the messages of a queue."""
    assert s3_server

    def write(queue: str) -> None:
        text = PIPELINE.read_text().replace("raw:\n", f"trigger: event\nraw:\n  queue: {queue}\n", 1)
        (pipelines / "trips.yaml").write_text(text)

    return write


def test_a_queue_that_does_not_exist_is_wrong(
    doctor: Doctor, s3_server: Stack, event_pipeline: Callable[[str], None]
) -> None:
    event_pipeline(f"{s3_server.s3_url}/000000000000/nobodys")
    code, found = doctor("queues")
    assert code == 1
    assert "NonExistentQueue" in wrong(found)["queue of trips"]


def test_a_queue_must_be_reached_from_the_bucket_and_its_dead_letters_are_counted(
    doctor: Doctor,
    bucket: Callable[..., str],
    s3: Any,
    event_pipeline: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, sqs = bucket(versioned=True), Aws("aws_default").asking("sqs")
    monkeypatch.setenv("RETRAIN_RAW_BUCKET", name)
    dead = sqs.create_queue(QueueName=f"{name}-failed")["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "5"})
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    other = sqs.create_queue(QueueName=f"{name}-other")["QueueUrl"]
    other_arn = sqs.get_queue_attributes(QueueUrl=other, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for queue, its_arn in ((url, arn), (other, other_arn)):
        sender = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": its_arn,
        }
        sqs.set_queue_attributes(
            QueueUrl=queue, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [sender]})}
        )
    event_pipeline(url)

    code, found = doctor("queues")
    assert code == 1
    assert "notifies nobody" in wrong(found)["queue of trips: notification"]
    assert found["queue of trips: dead letters"][0] == Found.OK

    rules = [{"Name": "prefix", "Value": "raw/yellow/"}, {"Name": "suffix", "Value": "_SUCCESS"}]
    target = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}}
    another = {"QueueConfigurations": [{**target, "QueueArn": other_arn}]}  # S3 has one for the same keys
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=another)
    code, found = doctor("queues")
    assert code == 1
    assert "none of them leads to" in wrong(found)["queue of trips: notification"]

    for others in ({}, another):
        through = {"EventBridgeConfiguration": {}, **others}
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=through)
        code, found = doctor("queues")
        assert (code, wrong(found)) == (0, {})
        assert found["queue of trips: notification"][0] == Found.UNKNOWN
        assert found["queue of trips: notification"][2].endswith(arn)

    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"QueueConfigurations": [target]})
    sqs.send_message(QueueUrl=dead, MessageBody="garbage")
    code, found = doctor("queues")
    assert (code, wrong(found)) == (0, {})
    assert found["queue of trips: notification"][0] == Found.OK
    assert found["queue of trips: dead letters"][:2] == (Found.WARNING, f"1 messages in {name}-failed")


# --- origin, pipelines ---


@contextmanager
def refusing() -> Iterator[str]:
    """A Git server that asks for a password and takes none."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusal)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/team/pipeline.git"
    finally:
        server.shutdown()
        server.server_close()


def test_an_origin_that_refuses_the_credentials_is_wrong(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing() as url:
        monkeypatch.setenv("RETRAIN_REPOSITORY", url)
        code, found = doctor("origin")
    assert code == 1
    assert url in wrong(found)["origin of trips"]
    assert "git_credentials" in found["origin of trips"][2]


def test_an_origin_is_asked_with_its_own_connection(
    doctor: Doctor, pipelines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin_at(tmp_path)
    text = PIPELINE.read_text()
    assert "  url: ${RETRAIN_REPOSITORY}\n" in text
    named = text.replace("  url: ${RETRAIN_REPOSITORY}\n", "  url: ${RETRAIN_REPOSITORY}\n  connection: team_git\n")
    (pipelines / "trips.yaml").write_text(named)
    with git_server.served(tmp_path, "deploy:t0ken-of-this-test") as server:
        monkeypatch.setenv("RETRAIN_REPOSITORY", f"{server.url}/origin.git")
        _, found = doctor("origin")
        assert "Airflow has no connection team_git" in wrong(found)["origin of trips"]
        for password, state in (("an0ther-token", Found.WRONG), ("t0ken-of-this-test", Found.UNKNOWN)):
            login = {"conn_type": "http", "login": "deploy", "password": password}
            monkeypatch.setenv("AIRFLOW_CONN_TEAM_GIT", json.dumps(login))
            _, found = doctor("origin")
            assert found["origin of trips"][0] == state
            assert password not in str(found)
    assert "answers with 0 tags; the pin cannot be read" in found["origin of trips"][1]


def test_a_broken_pipeline_file_is_wrong_and_the_others_are_checked(
    doctor: Doctor, pipelines: Path, s3_server: Stack
) -> None:
    assert s3_server
    (pipelines / "broken.yaml").write_text(PIPELINE.read_text().replace("window_days", "window_dayz"))
    code, found = doctor("pipelines", "aws")
    assert code == 1
    assert list(wrong(found)) == ["pipeline file broken.yaml"]
    assert found["connection aws_default"][0] == Found.OK


def test_for_people_each_finding_is_a_line_and_the_last_one_counts(
    doctor: Doctor, capfd: pytest.CaptureFixture[str]
) -> None:
    assert doctor
    assert main(["doctor", "--only", "pipelines", "--only", "secrets"]) == 0
    *lines, last = capfd.readouterr().out.splitlines()
    assert "ok           pipeline files: trips" in lines
    assert last == "1 ok, 1 cannot check."
