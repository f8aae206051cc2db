"""Our modules against real servers. Airflow itself is not started: connections come from its environment variables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from live_servers import Server, moto, running
from server_fixtures import (
    airflow_connections,
    deployment_dvc,
    environments,
    mlflow_server,
    s3,
    s3_server,
    service_models,
    stack,
)
from stack_model import LEDGER_BUCKET, STORE_BUCKET, Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from slack_standin.running import Standin

# pytest finds the fixtures of the other module by these names.
__all__ = [
    "airflow_connections",
    "deployment_dvc",
    "environments",
    "mlflow_server",
    "s3",
    "s3_server",
    "service_models",
    "stack",
]


@pytest.fixture(scope="session", params=["ministack", "moto"])
def either_server(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Server]:
    """Each S3 implementation in turn, for what has to hold on both."""
    if request.param == "ministack":
        up: Stack = request.getfixturevalue("s3_server")
        yield Server(request.param, up.s3_url, up.secrets.s3_access_key, up.secrets.s3_secret_key)
        return
    with moto(stack.state / "moto.log") as server:
        for name in (STORE_BUCKET, LEDGER_BUCKET):
            server.client().create_bucket(Bucket=name)
        yield server


@pytest.fixture(scope="session")
def either_s3(either_server: Server) -> S3Client:
    """Straight to the server, past any gate of a test."""
    return either_server.client()


@pytest.fixture(scope="session")
def slack_server(stack: Stack) -> Iterator[Stack]:
    with running(stack, "slack"):
        yield stack


@pytest.fixture(scope="session")
def slack_workspace() -> Iterator[Standin]:
    """A Slack stand-in with the channels of the watch's two pipelines."""
    from slack_standin.running import Standin

    with Standin(channels=("ours", "theirs")) as running:
        yield running


@pytest.fixture
def standin(slack_workspace: Standin) -> Standin:
    """The stand-in, running and without any message, fault or archived channel."""
    if slack_workspace.process is None:
        slack_workspace.start()
    slack_workspace.control("reset", {})
    return slack_workspace


@pytest.fixture
def bucket(s3: S3Client, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Makes buckets of the test's own."""
    made = 0

    def make(*, versioned: bool = False) -> str:
        nonlocal made
        made += 1
        name = f"{abs(hash(request.node.nodeid)):x}-{made}"
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    return make


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Defines an Airflow connection by its environment variable; gives its id."""

    def define(conn_id: str, **fields: Any) -> str:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
        return conn_id

    return define
