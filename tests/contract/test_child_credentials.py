"""How a child process comes to its AWS credentials: a real STS, real AWS clients in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError
from live_servers import free_ports
from stack_model import REGION, STORE_BUCKET

from retrain.airflow import connections
from retrain.airflow.connections import Aws
from retrain.errors import StoreError
from retrain.work import process
from retrain.work.credential_server import Issuer, served

# botocore renews credentials that hold for less than 15 minutes, and STS issues these for just that: each question is one
# across an expiry.
SHORTEST = 900

ASKS_TWICE = """
import boto3, json
credentials = boto3.Session().get_credentials()
print(json.dumps([credentials.method, *(credentials.get_frozen_credentials().access_key for _ in range(2))]))
"""
ASKS_TWICE_AS_DVC_DOES = """
import asyncio, json
from aiobotocore.session import AioSession
async def ask():
    credentials = await AioSession().get_credentials()
    return [credentials.method, *[(await credentials.get_frozen_credentials()).access_key for _ in range(2)]]
print(json.dumps(asyncio.run(ask())))
"""
USES = f"""
import boto3, botocore.exceptions, json
s3 = boto3.client("s3")
s3.list_objects_v2(Bucket="{STORE_BUCKET}")
try:
    s3.put_object(Bucket="{STORE_BUCKET}", Key="x", Body=b"x")
except botocore.exceptions.ClientError as error:
    print(json.dumps(["listed", error.response["Error"]["Code"]]))
"""
WHO = """
import boto3, json
credentials = boto3.Session().get_credentials()
print(json.dumps(credentials and [credentials.method, credentials.access_key, credentials.token]))
"""


@pytest.fixture(scope="module")
def role_arn(s3_server):
    """A role that may list one folder, and that the account's own keys may take."""
    keys = {
        "aws_access_key_id": s3_server.secrets.s3_access_key,
        "aws_secret_access_key": s3_server.secrets.s3_secret_key,
        "endpoint_url": s3_server.s3_url,
        "region_name": REGION,
    }
    iam, account = boto3.client("iam", **keys), boto3.client("sts", **keys).get_caller_identity()["Account"]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{STORE_BUCKET}"}
    made = iam.create_role(RoleName="run", AssumeRolePolicyDocument=policy(trust))
    iam.put_role_policy(RoleName="run", PolicyName="list", PolicyDocument=policy(may))
    yield made["Role"]["Arn"]
    iam.delete_role_policy(RoleName="run", PolicyName="list")
    iam.delete_role(RoleName="run")


def policy(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def role(connection, s3_server, role_arn):
    """A connection whose keys only serve to take a role."""
    extra = {
        "role_arn": role_arn,
        "region_name": REGION,
        "endpoint_url": s3_server.s3_url,
        "service_config": {"sts": {"endpoint_url": s3_server.s3_url}},
        "assume_role_kwargs": {"DurationSeconds": SHORTEST},
    }
    secrets = s3_server.secrets
    return connection("role", conn_type="aws", login=secrets.s3_access_key, password=secrets.s3_secret_key, extra=extra)


@pytest.fixture
def worker(monkeypatch, tmp_path):
    """A worker with an identity of its own, in every place in which AWS clients look before they ask a container."""
    credentials, config, token = tmp_path / "credentials", tmp_path / "config", tmp_path / "token"
    keys = "aws_access_key_id = AKIAPROFILE\naws_secret_access_key = profile-secret\n"
    credentials.write_text(f"[default]\n{keys}[retrain]\n{keys.replace('AKIAPROFILE', 'AKIARETRAIN')}")
    config.write_text("[default]\nregion = us-west-2\n")
    token.write_text("web identity")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return monkeypatch


def child(variables: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=process.environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def ask(variables: dict[str, str], code: str) -> object:
    done = child(variables, code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("code", [ASKS_TWICE, ASKS_TWICE_AS_DVC_DOES], ids=["boto3", "aiobotocore"])
def test_a_child_that_outlives_a_role_s_credentials_gets_new_ones(role, worker, s3_server, code):
    worker.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")
    with Aws(role).child_environment() as variables:
        method, first, second = ask(variables, code)
    assert method == "container-role"
    assert first != second
    assert {first, second}.isdisjoint({s3_server.secrets.s3_access_key, "AKIAPROFILE"})


@pytest.mark.usefixtures("worker")
def test_a_child_may_do_what_the_role_may_and_no_more(role):
    with Aws(role).child_environment() as variables:
        assert ask(variables, USES) == ["listed", "AccessDenied"]


@pytest.mark.parametrize(
    "own",
    [
        pytest.param({"AWS_ACCESS_KEY_ID": "AKIAWORKER", "AWS_SECRET_ACCESS_KEY": "x"}, id="keys"),
        pytest.param({"AWS_PROFILE": "retrain"}, id="a profile"),
        pytest.param({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role"}, id="a container's role"),
        pytest.param(
            {"AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/other", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere"},
            id="a web identity",
        ),
    ],
)
def test_the_worker_s_own_identity_does_not_win_over_a_connection_s_role(role, worker, own):
    aws = Aws(role)
    with aws.child_environment() as variables:
        for name, value in own.items():
            worker.setenv(name, value)
        assert ask(variables, ASKS_TWICE)[0] == "container-role"


def test_the_address_answers_to_its_token_alone_and_ends_with_the_context(role, caplog):
    caplog.set_level("DEBUG", logger="retrain")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(path: str, token: str) -> tuple[int, dict[str, str]]:
        url = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].replace("/credentials", path)
        try:
            request = urllib.request.Request(url, headers={"Authorization": token})  # noqa: S310 - our own server
            with direct.open(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    with Aws(role).child_environment() as variables:
        token = variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        status, issued = get("/credentials", token)
        assert status == 200
        assert 0 < (datetime.fromisoformat(issued["Expiration"]) - datetime.now(UTC)).total_seconds() <= SHORTEST
        for path, given in (("/credentials", ""), ("/credentials", token[:-1]), ("/other", token)):
            status, refused = get(path, given)
            assert (status, refused["code"]) == (403, "AccessDenied")
    with pytest.raises(urllib.error.URLError):
        get("/credentials", token)
    said = caplog.text
    assert not [secret for secret in (token, issued["SecretAccessKey"], issued["Token"]) if secret in said]


def test_what_the_child_is_given_is_masked_in_the_task_s_log(role):
    from airflow.sdk.log import redact

    with Aws(role).child_environment() as variables:
        token = variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    assert redact(f"AWS_CONTAINER={token}") == "AWS_CONTAINER=***"


def temporary(key: str, minutes: float) -> dict[str, str]:
    expires = datetime.now(UTC) + timedelta(minutes=minutes)
    return {"access_key": key, "secret_key": "secret", "token": "token", "expiry_time": expires.isoformat()}


def test_while_sts_hangs_a_child_gets_the_credentials_that_still_hold():
    asked, answer = threading.Event(), threading.Event()

    def renew() -> dict[str, str]:
        asked.set()
        answer.wait(30)
        return temporary("AKIASECOND", 60)

    masked: list[str] = []
    session = RefreshableCredentials.create_from_metadata(temporary("AKIAFIRST", 20), renew, "sts-assume-role")
    issuer = Issuer(session, masked.append)
    session._expiry_time -= timedelta(minutes=15)  # so much time has passed: five minutes are left
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(issuer.issue)
        assert asked.wait(30)
        with served(issuer, masked.append) as variables:
            assert ask(variables, WHO) == ["container-role", "AKIAFIRST", "token"]
            answer.set()
            assert waiting.result(30).access_key == "AKIASECOND"
            assert ask(variables, WHO) == ["container-role", "AKIASECOND", "token"]
    assert {"secret", "token", variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]} == set(masked)


@pytest.mark.parametrize(("minutes", "code"), [(5, 0), (-5, 1)], ids=["while they hold", "expired"])
def test_when_the_role_is_refused_a_child_keeps_what_holds_and_then_hears_why(minutes, code, caplog):
    def renew() -> dict[str, str]:
        error = {"Error": {"Code": "AccessDenied", "Message": "not authorized to perform sts:AssumeRole"}}
        raise ClientError(error, "AssumeRole")

    masked: list[str] = []
    session = RefreshableCredentials.create_from_metadata(temporary("AKIAFIRST", 20), renew, "sts-assume-role")
    issuer = Issuer(session, masked.append)
    issuer._issued = replace(issuer._issued, expires=datetime.now(UTC) + timedelta(minutes=minutes))
    session._expiry_time = issuer._issued.expires
    with served(issuer, masked.append) as variables:
        done = child(variables, WHO)
    assert done.returncode == code, done.stderr
    assert ("AKIAFIRST" in done.stdout) == (code == 0)
    assert ("not authorized to perform sts:AssumeRole" in done.stderr) == (code != 0)
    assert "not authorized to perform sts:AssumeRole" in caplog.text


@pytest.mark.usefixtures("role")
def test_a_role_that_cannot_be_taken_fails_the_task_by_name_and_not_its_child(connection, role_arn, monkeypatch):
    monkeypatch.setattr(
        connections, "_AWS", connections._AWS.merge(type(connections._AWS)(retries={"max_attempts": 0}))
    )
    cut_off = json.loads(os.environ["AIRFLOW_CONN_ROLE"])
    cut_off["extra"]["service_config"]["sts"]["endpoint_url"] = f"http://127.0.0.1:{free_ports(1)[0]}"
    aws = Aws(connection("cut_off", **cut_off))
    with pytest.raises(StoreError, match=f"STS did not answer AssumeRole on {role_arn}"), aws.child_environment():
        pytest.fail("no child may start")
    with pytest.raises(StoreError, match=f"STS did not answer AssumeRole on {role_arn}"):
        aws.client()


def test_without_keys_in_the_connection_a_child_finds_its_credentials_by_itself(connection, worker):
    worker.setenv("AWS_PROFILE", "retrain")
    bare = connection("bare", conn_type="aws", extra={"region_name": "eu-west-1"})
    assert not [name for name in Aws(bare).environment() if "KEY" in name or "TOKEN" in name]
    with Aws(bare).child_environment() as variables:
        assert ask(variables, WHO) == ["shared-credentials-file", "AKIARETRAIN", None]


def test_a_connection_s_profile_is_the_child_s_even_where_the_worker_has_keys(connection, worker):
    worker.setenv("AWS_ACCESS_KEY_ID", "AKIAWORKER")
    worker.setenv("AWS_SECRET_ACCESS_KEY", "worker-secret")
    named = connection("named", conn_type="aws", extra={"profile_name": "retrain", "region_name": "eu-west-1"})
    with Aws(named).child_environment() as variables:
        assert ask(variables, WHO) == ["shared-credentials-file", "AKIARETRAIN", None]


def test_a_connection_s_keys_are_the_child_s_without_a_session_token_of_the_worker_s(connection, worker):
    worker.setenv("AWS_SESSION_TOKEN", "of-other-keys")
    static = connection(
        "static", conn_type="aws", login="AKIASTATIC", password="static-secret", extra={"region_name": "eu-west-1"}
    )
    with Aws(static).child_environment() as variables:
        assert ask(variables, WHO) == ["env", "AKIASTATIC", None]


def test_a_connection_is_asked_for_once(connection, monkeypatch):
    aws = Aws(
        connection(
            "once", conn_type="aws", login="AKIASTATIC", password="static-secret", extra={"region_name": "eu-west-1"}
        )
    )
    aws.client()
    monkeypatch.delenv("AIRFLOW_CONN_ONCE")
    assert aws.environment()["AWS_ACCESS_KEY_ID"] == "AKIASTATIC"


def test_the_credentials_of_a_role_are_new_each_time_although_its_connection_is_asked_for_once(role, monkeypatch):
    aws = Aws(role)
    first = aws.environment()
    monkeypatch.delenv("AIRFLOW_CONN_ROLE")
    second = aws.environment()
    assert first["AWS_SESSION_TOKEN"] != second["AWS_SESSION_TOKEN"]
    with aws.child_environment() as variables:
        method, third, fourth = ask(variables, ASKS_TWICE)
    assert method == "container-role"
    assert len({first["AWS_ACCESS_KEY_ID"], second["AWS_ACCESS_KEY_ID"], third, fourth}) == 4
