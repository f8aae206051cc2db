"""A team whose repository runs here: its origin, its pipeline's file, its data in S3, and the tasks of its days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from changing_source import ChangingSource
from live_servers import wait_until
from shape import Shape
from team_origin import Origin, isolated_git

from retrain.airflow.adapters import services
from retrain.commands.command_line import parser
from retrain.deployment.pipeline_file import Deployment, load
from retrain.results import Pushed, Recorded, Reproduced, Resolved
from retrain.run.landed import LandingRule
from retrain.run.run_record import RunRecord
from retrain.store.raw_landing import has_landed
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.tasks.remove_workspace import remove_workspace
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run

if TYPE_CHECKING:
    import pytest
    from mypy_boto3_s3 import S3Client

TAG = "v1.0.0"


@dataclass(frozen=True)
class RanDay:
    """The results of a day's tasks, its record, and the files of its checkout that tests look at, by path."""

    run: Resolved
    reproduced: Reproduced
    pushed: Pushed
    recorded: Recorded
    record: RunRecord
    files: dict[str, bytes]


@dataclass(frozen=True)
class Adopted:
    """A shape, deployed."""

    shape: Shape
    deployment: Deployment
    client: S3Client
    source: ChangingSource
    origin: Origin
    landed: list[str]

    @classmethod
    def start(
        cls,
        shape: Shape,
        folder: Path,
        client: S3Client,
        source: ChangingSource,
        environments: Path,
        patch: pytest.MonkeyPatch,
        landed: list[str],
        **changed: Any,
    ) -> Adopted:
        """Push the repository to an origin under the tag TAG, and write its pipeline's file; RETRAIN_HOME is its own. `landed` are days that have landed before.

        `changed` are keys of the pipeline's file with other values than the shape's.
        """
        isolated_git(folder / "engineer", patch)
        home = folder / "home"
        home.mkdir()
        (home / "environments").symlink_to(environments)
        origin = Origin.create(folder, shape.files(source.url), shape.name)
        origin.release(TAG)
        file = folder / "pipelines" / f"{shape.name}.yaml"
        file.parent.mkdir()
        file.write_text(yaml.safe_dump({**shape.pipeline, **changed}))
        for name, value in {"RETRAIN_HOME": home, "RETRAIN_PIPELINES": file.parent, "ORIGINS": folder}.items():
            patch.setenv(name, str(value))
        return cls(shape, load(file), client, source, origin, landed)

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
        return resolve_run(services(self.deployment), day, TAG, dag_run, "daily")

    def run(self, day: str, dag_run: str = "scheduled") -> RanDay:
        """All tasks of a day up to its record, each with services of its own, as in a process of its own."""
        run = self.resolve(day, dag_run)
        reproduced = reproduce(services(self.deployment), run)
        pushed = push(services(self.deployment), run, reproduced)
        recorded = record_run(services(self.deployment), run, reproduced, pushed)
        files = self.files_of(Path(reproduced.workspace) / "checkout", day)
        remove_workspace(services(self.deployment), run.dag_run)
        record = services(self.deployment).ledger.entry(self.shape.name, day, run.run_key)
        return RanDay(run, reproduced, pushed, recorded, record, files)

    def files_of(self, checkout: Path, day: str) -> dict[str, bytes]:
        """The files in a checkout that the day laid, and those outputs whose text the shape knows."""
        return contents(checkout, [*self.shape.inputs, *self.shape.days[day].model])

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
