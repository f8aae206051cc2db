"""The S3 server of the stack keeps its objects, versions and bucket settings through a stop and a crash."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from buckets import apply_buckets, s3_client
from loopback import answers, wait_until
from programs import plan_programs
from stack_model import LEDGER_BUCKET, RAW_BUCKET, REGION, Stack

KEY = "raw/yellow/dt=2020-03-05/part-0.parquet"


@pytest.fixture
def restart(stack: Stack) -> Iterator[Callable[[signal.Signals], None]]:
    """Start the server, and return a function that ends it with a signal and starts it again."""
    program = next(p for p in plan_programs(stack, os.environ) if p.name == "s3")
    stack.run_dir.mkdir(parents=True)
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running.append(subprocess.Popen(program.argv, env=dict(program.env), cwd=program.cwd))
        wait_until(lambda: answers(program.health), "S3 answers")

    def end_and_start(how: signal.Signals) -> None:
        process = running.pop()
        process.send_signal(how)
        process.wait(timeout=30)
        start()

    start()
    yield end_and_start
    running.pop().terminate()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_objects_versions_and_versioning_survive_a_restart(stack, restart, how):
    assert apply_buckets(stack)
    # As `up` does after it created the buckets: the server saves their settings when it stops.
    restart(signal.SIGTERM)
    client = s3_client(stack)
    versions = [client.put_object(Bucket=RAW_BUCKET, Key=KEY, Body=body)["VersionId"] for body in (b"old", b"new")]

    restart(how)

    bodies = [client.get_object(Bucket=RAW_BUCKET, Key=KEY, VersionId=v)["Body"].read() for v in versions]
    assert bodies == [b"old", b"new"]
    assert client.get_object(Bucket=RAW_BUCKET, Key=KEY)["Body"].read() == b"new"
    assert client.get_bucket_versioning(Bucket=RAW_BUCKET)["Status"] == "Enabled"
    assert not apply_buckets(stack), "no bucket was lost"


@pytest.mark.usefixtures("restart")
def test_an_entry_is_created_once_and_a_stranger_is_refused(stack):
    apply_buckets(stack)
    client = s3_client(stack)
    client.put_object(Bucket=LEDGER_BUCKET, Key="entry", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=LEDGER_BUCKET, Key="entry", Body=b"2", IfNoneMatch="*")
    stranger = boto3.client(
        "s3", endpoint_url=stack.s3_url, region_name=REGION, aws_access_key_id="AKIASTRANGER", aws_secret_access_key="x"
    )
    with pytest.raises(ClientError):
        stranger.list_objects_v2(Bucket=LEDGER_BUCKET)
