"""A team whose repository runs here: its origin, its pipeline's file, its data in S3, and the tasks of its days."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from live_servers import wait_until
from shape import Shape
from stack_model import Stack
from team_origin import Origin, isolated_git
from team_places import TeamPlaces
from team_server import TeamServer

from retrain.airflow.adapters import services
from retrain.commands.command_line import parser
from retrain.deployment.pipeline_file import Deployment, load
from retrain.results import Pushed, Recorded, Reproduced, Resolved
from retrain.run.landed import LandingRule
from retrain.run.release import Release
from retrain.run.run_record import RunRecord
from retrain.store.labels import fix_label
from retrain.store.raw_landing import has_landed
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.tasks.remove_workspace import remove_workspace
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run

if TYPE_CHECKING:
    import pytest
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class RanDay:
    """The results of a day's tasks, its record, and the files of its project that tests look at, by path.

    `asked` is how many requests the team's server has had by then.
    """

    run: Resolved
    reproduced: Reproduced
    pushed: Pushed
    recorded: Recorded
    record: RunRecord
    files: dict[str, bytes]
    asked: int


@dataclass(frozen=True)
class Adopted:
    """A shape, deployed. `begun_with` are the references of its origin before any run."""

    shape: Shape
    deployment: Deployment
    client: S3Client
    source: TeamServer
    origin: Origin
    begun_with: str
    landed: list[str]

    @classmethod
    def start(
        cls,
        shape: Shape,
        folder: Path,
        client: S3Client,
        source: TeamServer,
        lab: Stack | None,
        environments: Path,
        patch: pytest.MonkeyPatch,
        landed: list[str],
        files: Mapping[str, str] | None = None,
        **changed: Any,
    ) -> Adopted:
        """Push the repository to an origin, and write its pipeline's file; RETRAIN_HOME is its own. `landed` are days that have landed before.

        `lab` is the team's own S3 server. `files` are texts of the repository, and `changed` keys of the pipeline's file, that are others than
        the shape's.
        """
        isolated_git(folder / "engineer", patch)
        home = folder / "home"
        home.mkdir()
        (home / "environments").symlink_to(environments)
        places = TeamPlaces(shape, source, folder, lab)
        origin = places.publish(places.furnish(), files)
        for name, connection in places.connections().items():
            patch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        for name, text in shape.variables.items():
            patch.setenv(f"AIRFLOW_VAR_{name.upper()}", text)
        file = folder / "pipelines" / f"{shape.name}.yaml"
        file.parent.mkdir()
        file.write_text(yaml.safe_dump({**shape.pipeline, **changed}))
        for name, text in shape.beside.items():
            (file.parent / name).write_text(text)
        for name, value in {"RETRAIN_HOME": home, "RETRAIN_PIPELINES": file.parent, "ORIGINS": folder}.items():
            patch.setenv(name, str(value))
        team = cls(shape, load(file), client, source, origin, origin.refs(), landed)
        if shape.label:
            at = Release(shape.label, origin.git("rev-parse", "HEAD"))
            fix_label(services(team.deployment).ledger, shape.name, at)
        return team

    @property
    def asked(self) -> list[str]:
        """The paths that the team's server was asked for."""
        return self.source.asked

    @property
    def requests(self) -> int:
        return len(self.asked)

    def land(self, last: str) -> None:
        """Land the days up to `last` that have not landed yet, and wait until the last one has by the rule of the pipeline's file."""
        raw = self.deployment.raw
        if raw is None:
            return
        for day in [day for day in self.shape.landed if day <= last and day not in self.landed]:
            self.landed.append(day)
            land(self.client, self.shape, raw.url, day)
        seconds = 60 * (raw.quiet_minutes or 0) + 10
        rule = LandingRule.of(raw)
        wait_until(lambda: has_landed(self.client, raw.url, rule, last), f"{last} has landed", seconds)

    def resolve(self, day: str, dag_run: str) -> Resolved:
        return resolve_run(services(self.deployment), day, self.shape.release, dag_run, "daily")

    def run(self, day: str, dag_run: str = "scheduled") -> RanDay:
        """All tasks of a day up to its record, each with services of its own, as in a process of its own."""
        run = self.resolve(day, dag_run)
        reproduced = reproduce(services(self.deployment), run)
        pushed = push(services(self.deployment), run, reproduced)
        recorded = record_run(services(self.deployment), run, reproduced, pushed)
        files = self.files_of(Path(reproduced.workspace) / "checkout" / self.shape.project, day)
        remove_workspace(services(self.deployment), run.dag_run)
        record = services(self.deployment).ledger.entry(self.shape.name, day, run.run_key)
        return RanDay(run, reproduced, pushed, recorded, record, files, self.requests)

    def files_of(self, project: Path, day: str) -> dict[str, bytes]:
        """The files in a project that the day laid, those outputs whose text the shape knows, and tracked data."""
        return contents(project, [*self.shape.inputs, *self.shape.days[day].model, *self.shape.named("tracked")])

    def release(self, *arguments: str) -> Any:
        """The document of `make release`, by default of the shape's release."""
        return self.answer("release", *(arguments or (self.shape.release,)))

    def answer(self, *arguments: str) -> Any:
        """The document of a command that has to end well."""
        options = parser().parse_args(["--pipeline", self.shape.name, *arguments])
        found = options.command(options)
        assert found.well, found.lines
        return found.document


def land(client: S3Client, shape: Shape, url: str, day: str) -> None:
    """Put the objects of a day below `url`, in the producer's order."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    for key, body in shape.landed[day]:
        client.put_object(Bucket=bucket, Key=f"{prefix}/{key}".lstrip("/"), Body=body)


def contents(top: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """The bytes of all files at or below `paths`, by their path below `top`."""
    found: dict[str, bytes] = {}
    for path in paths:
        files = [top / path] if (top / path).is_file() else sorted(f for f in (top / path).rglob("*") if f.is_file())
        found |= {str(file.relative_to(top)): file.read_bytes() for file in files}
    return found
