"""Repositories of other teams against real servers. Airflow itself is not started here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "contract"))

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
from stack_model import Stack
from team_places import lab_server
from team_server import TeamServer, team_server

from retrain.work.environments import pythons

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


@pytest.fixture(scope="module")
def source() -> Iterator[TeamServer]:
    """The server of the teams: the feed that stages download from, and more."""
    with team_server() as serving:
        yield serving


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A team's own S3 server."""
    with lab_server(tmp_path_factory.mktemp("lab")) as serving:
        yield serving


@pytest.fixture(scope="session", autouse=True)
def team_python(airflow_connections: None) -> Iterator[str]:  # noqa: ARG001 - they name uv too
    """A Python that is not the deployment's own, if the machine has one of 3.10 to 3.13: in TEAM_PYTHON, for pipelines' files."""
    with pytest.MonkeyPatch.context() as patch:
        # pyenv's programs on the PATH run only the version that pyenv has chosen.
        installed = str(Path.home() / ".pyenv" / "versions" / "*")
        patch.setenv(pythons.PLACES, os.pathsep.join(filter(None, (os.environ.get(pythons.PLACES), installed))))
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        chosen = next((version for version in reversed(pythons.available()) if version != own), own)
        patch.setenv("TEAM_PYTHON", chosen)
        yield chosen
