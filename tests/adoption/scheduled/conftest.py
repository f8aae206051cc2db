"""A stack with Airflow, on which other teams' pipelines run: its own state folder and free ports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins"))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "infra" / "local"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from changing_source import ChangingSource, changing_source
from foreign_repository import commit, git
from running_stack import Live, stack_up, wait_until
from scheduled import SHAPES
from shape import Shape

TAG = "v1.0.0"


@pytest.fixture(scope="session")
def source() -> Iterator[ChangingSource]:
    """The feed that a stage downloads from."""
    with changing_source() as serving:
        yield serving


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory, source: ChangingSource) -> Path:
    """The folder of the pipelines' files. Each names an origin, in which its release is tagged."""
    origins, folder = tmp_path_factory.mktemp("origins"), tmp_path_factory.mktemp("pipelines")
    for shape in map(Shape, SHAPES):
        work = origins / shape.name
        git("init", "--quiet", str(work))
        commit(work, shape.files(source.url), "Begin")
        git("-C", str(work), "tag", TAG)
        git("clone", "--quiet", "--bare", str(work), str(origins / f"{shape.name}.git"))
        (folder / f"{shape.name}.yaml").write_text(shape.pipeline_file.replace("${ORIGINS}", str(origins)))
    return folder


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, pipelines: Path) -> Iterator[Live]:
    """The stack, with each pipeline's release pinned. Nothing has landed."""
    with stack_up(tmp_path_factory.mktemp("state"), pipelines) as running:
        for shape in map(Shape, SHAPES):
            if shape.bucket:
                boto3.client("s3").create_bucket(Bucket=shape.bucket)
            wait_until(lambda dag=shape.name: running.airflow.dag(dag), 120, f"Airflow has not read {shape.name}")
            released = running.retrain("--pipeline", shape.name, "release", TAG)
            assert released.returncode == 0, released.stderr
            running.airflow.unpause(shape.name)
        yield running
