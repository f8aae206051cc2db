"""Repositories of other teams against real servers. Airflow itself is not started here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "contract"))

from changing_source import ChangingSource, changing_source
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
def source() -> Iterator[ChangingSource]:
    """The feed that stages download from."""
    with changing_source() as serving:
        yield serving
