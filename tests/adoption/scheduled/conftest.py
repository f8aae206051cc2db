"""A stack with Airflow, on which other teams' pipelines run: its own state folder and free ports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins"))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "infra" / "local"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "contract"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from running_stack import Live, stack_up, wait_until
from scheduled import SHAPES
from shape import Shape
from stack_model import Stack
from team_origin import isolated_git
from team_places import TeamPlaces, lab_server
from team_server import TeamServer, team_server


@pytest.fixture(scope="session")
def source() -> Iterator[TeamServer]:
    """The server of the teams: the feed that a stage downloads from, and more."""
    with team_server() as serving:
        yield serving


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A team's own S3 server."""
    with lab_server(tmp_path_factory.mktemp("lab")) as serving:
        yield serving


@dataclass(frozen=True)
class Deployed:
    """A shape's places and the arguments of `make release` for it."""

    places: TeamPlaces
    release: tuple[str, ...]


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory, source: TeamServer, lab: Stack) -> list[Deployed]:
    """The origin of each shape, with its release."""
    origins, found = tmp_path_factory.mktemp("origins"), []
    with pytest.MonkeyPatch.context() as patch:
        isolated_git(origins / "engineer", patch)
        for shape in map(Shape, SHAPES):
            places = TeamPlaces(shape, source, origins, lab)
            commit = places.publish(places.furnish()).git("rev-parse", "HEAD")
            found.append(
                Deployed(places, ("--commit", commit, "--as", shape.label) if shape.label else (shape.release,))
            )
    return found


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory, deployed: list[Deployed]) -> Path:
    """The folder of the pipelines' files. Each names its origin."""
    folder = tmp_path_factory.mktemp("pipelines")
    for places in (each.places for each in deployed):
        shape = places.shape
        (folder / f"{shape.name}.yaml").write_text(shape.pipeline_file.replace("${ORIGINS}", str(places.origins)))
        for name, text in shape.beside.items():
            (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, pipelines: Path, deployed: list[Deployed]) -> Iterator[Live]:
    """The stack, with each pipeline's release pinned. Nothing has landed."""
    with stack_up(tmp_path_factory.mktemp("state"), pipelines) as running:
        for each in deployed:
            shape = each.places.shape
            for name, connection in each.places.connections().items():
                running.airflow.create_connection({"connection_id": name} | connection)
            if shape.bucket:
                boto3.client("s3").create_bucket(Bucket=shape.bucket)
            wait_until(lambda dag=shape.name: running.airflow.dag(dag), 120, f"Airflow has not read {shape.name}")
            released = running.retrain("--pipeline", shape.name, "release", *each.release)
            assert released.returncode == 0, released.stderr
            running.airflow.unpause(shape.name)
        yield running
