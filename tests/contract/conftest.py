"""Our modules against real servers. Airflow itself is not started: connections come from its environment variables."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from live_servers import ROOT, Server, free_ports, moto, running
from stack_model import LEDGER_BUCKET, STORE_BUCKET, Ports, Secrets, Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from slack_standin.running import Standin

from retrain.airflow.connections import Aws
from retrain.work.environments import environment


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack of its own: another state folder, other ports and secrets. Its servers start when a test asks for them."""
    return Stack(ROOT, tmp_path_factory.mktemp("stack"), Ports(*free_ports(6)), Secrets.generate())


@pytest.fixture(scope="session", autouse=True)
def airflow_connections(stack: Stack) -> Iterator[None]:
    """What Airflow's components get, as far as connections, folders and addresses go."""
    from airflow_configuration import airflow_variables

    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_PROFILE", "MLFLOW_"))]:
            patch.delenv(name)
        for name, value in airflow_variables(stack).items():
            if name.startswith(("AIRFLOW_CONN_", "RETRAIN_")):
                patch.setenv(name, value)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("DO_NOT_TRACK", "1")
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def service_models() -> Iterator[None]:
    """botocore's descriptions of AWS' services, megabytes of JSON, are read once and not by each of hundreds of clients."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session")
def s3_server(stack: Stack) -> Iterator[Stack]:
    from buckets import apply_buckets

    with running(stack, "s3"):
        apply_buckets(stack)
        yield stack


@pytest.fixture(scope="session")
def s3(s3_server: Stack) -> S3Client:  # noqa: ARG001 - it has to be up
    """The client that the tasks use, from Airflow's connection."""
    return Aws("aws_default").client()


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
def mlflow_server(s3_server: Stack) -> Iterator[Stack]:
    with running(s3_server, "mlflow"):
        yield s3_server


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


@pytest.fixture(scope="session")
def environments(stack: Stack) -> Iterator[Path]:
    """Release environments of the session: each is built once. The deployment's DVC, the big one, is shared by all sessions."""
    folder, shared = stack.state / "environments", ROOT / ".local" / "retrain" / "environments"
    folder.mkdir()
    built = environment.provide(ROOT / "infra" / "dvc", shared)
    (folder / built.path.name).symlink_to(built.path)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def deployment_dvc(environments: Path) -> environment.Environment:
    """The deployment's own DVC, as `open_dvc` finds it."""
    return environment.provide(ROOT / "infra" / "dvc", environments)
