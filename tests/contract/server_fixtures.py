"""The servers and environments of a test session, each started or built when a test first asks for it.

Airflow itself is not started: connections come from its environment variables.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.session
import pytest
from live_servers import ROOT, free_ports, running
from stack_model import Ports, Secrets, Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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


@pytest.fixture(scope="session")
def mlflow_server(s3_server: Stack) -> Iterator[Stack]:
    with running(s3_server, "mlflow"):
        yield s3_server


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
