"""A stack with one pipeline per fault, each a copy of ours, so that each fault has its own message."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra" / "local"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import trips
from foreign_repository import ForeignOrigin, commit, git, make_origin
from injected import PIPELINES, RELEASES, WAITING
from running_stack import DAY, PIPELINE, ROOT, SHARED, Live, stack_with_trips, wait_until
from stage_process import running_stage

_IDENTITY = ("-c", "user.name=x", "-c", "user.email=x@example.org")


@dataclass(frozen=True)
class Overdue:
    """The deadlines of the pipeline `overdue`, some minutes from now, and the partition that they are about."""

    landed: datetime
    recorded: datetime

    @property
    def partition(self) -> str:
        return (self.landed.date() - timedelta(days=1)).isoformat()


@pytest.fixture(scope="session")
def overdue() -> Overdue:
    # The stack's start takes a minute or two, and a deadline before it does not count.
    begin = datetime.now(UTC).replace(second=0, microsecond=0)
    return Overdue(begin + timedelta(minutes=6), begin + timedelta(minutes=7))


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> ForeignOrigin:
    """The other team's repository, with a release v0.2.0 whose first stage waits for a file."""
    folder = tmp_path_factory.mktemp("foreign")
    origin = make_origin(folder)
    work = folder / "work"
    commit(work, {"count.py": WAITING + (work / "count.py").read_text()}, "Wait")
    git("-C", str(work), "tag", "v0.2.0")
    git("-C", str(work), "push", "--quiet", str(origin.path), "v0.2.0")
    return origin


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory, overdue: Overdue, foreign: ForeignOrigin) -> Path:
    """One pipeline file per fault: ours with the fault and one retry after a second. Also three pipelines of small days."""
    folder = tmp_path_factory.mktemp("pipelines")
    ours = yaml.safe_load((ROOT / "dags" / "pipelines" / f"{PIPELINE}.yaml").read_text())
    quick = {**ours["limits"], "retries": 1, "retry_seconds": 1}
    # The schedule begins today, so that no scheduled run takes a worker from the faults.
    schedule = {**ours["schedule"], "start_date": datetime.now(UTC).date()}
    raw = {**ours["raw"], "poke_seconds": 2}
    plain: dict[str, Any] = {**ours, "schedule": schedule, "expected": None, "raw": raw, "limits": quick}
    for name, changes in PIPELINES.items():
        document = {
            key: {**plain[key], **value} if isinstance(value, dict) else value for key, value in changes.items()
        }
        store, tracking = f"{ours['store']}/{name}", {**ours["tracking"], "experiment": name, "model": name}
        (folder / f"{name}.yaml").write_text(
            yaml.safe_dump({**plain, "store": store, "tracking": tracking, **document})
        )
    for name in ("overdue", "small_days", "api_server_away"):
        expected = {"landed": f"{overdue.landed:%H:%M}", "recorded": f"{overdue.recorded:%H:%M}"}
        document = {
            **{key: ours[key] for key in ("schema_version", "description", "owner", "ledger", "slack")},
            # The run starts at midnight: its deadlines may be at any later time of the day.
            "schedule": {**ours["schedule"], "cron": "0 0 * * *"},
            "repository": {"url": str(foreign.path)},
            "raw": {"url": f"s3://${{RETRAIN_RAW_BUCKET}}/raw/{name}", "window_days": 3, "poke_seconds": 2},
            "store": f"{ours['store']}/{name}",
            "tracking": {"experiment": name},
            "limits": quick,
            **({"expected": expected} if name == "overdue" else {}),
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return folder


def _release(work: Path, tag: str, file: str, code: str) -> None:
    """Tag a commit on top of the released one, in which the stage's `main` begins with `code`."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(work), *_IDENTITY, *arguments], check=True, capture_output=True)

    git("checkout", "--quiet", "--detach", "origin/main")
    module = work / file
    text = module.read_text()
    at = text.index('"""\n', text.index("def main() -> None:")) + len('"""\n')
    indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
    module.write_text(text[:at] + indented + text[at:])
    git("commit", "--quiet", "--all", f"--message={tag}")
    git("tag", tag)
    git("push", "--quiet", "origin", tag)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, pipelines: Path) -> Iterator[Live]:
    """The stack with a year of trips, and with every release that has a fault."""
    with stack_with_trips(tmp_path_factory.mktemp("state"), pipelines) as running:
        trips.land(DAY - timedelta(days=366), DAY, state=SHARED)
        running.git("tag", "v1.0.0", "refs/heads/main")
        work = tmp_path_factory.mktemp("work") / "clone"
        subprocess.run(["git", "clone", "--quiet", str(running.stack.origin), str(work)], check=True)
        for tag, (file, code) in RELEASES.items():
            _release(work, tag, file, code)
        # The pipelines share a cache: a stage that one has finished is not computed again, only the stage with the fault.
        cache = running.stack.state / "retrain" / "cache"
        (cache / "shared").mkdir(parents=True)
        for name in PIPELINES:
            if name != "corrupted_object":  # its cache is what breaks
                (cache / name).symlink_to(cache / "shared")
        for dag in (*PIPELINES, "small_days", "overdue", "api_server_away"):
            wait_until(lambda name=dag: running.airflow.dag(name), 120, f"Airflow has not read {dag}")
        for first, tag, others in (
            ("schema", "v1.0.0", PIPELINES),
            ("small_days", "v0.1.0", ("overdue", "api_server_away")),
        ):
            released = running.retrain("--pipeline", first, "release", tag)
            assert released.returncode == 0, released.stderr
            for name in others:
                running.airflow.copy_variable(f"{first}_release", f"{name}_release")
        for dag in (*PIPELINES, "small_days", "api_server_away"):  # `overdue` stays paused
            running.airflow.unpause(dag)
        yield running


@pytest.fixture(scope="session")
def warm(live: Live) -> Live:
    """The stack after one good day, whose stages are in the shared cache."""
    live.airflow.trigger("mlflow_down", "warm", {"partition": DAY.isoformat()})
    assert live.ended("mlflow_down", "warm")["state"] == "success", live.states("mlflow_down", "warm")
    return live


@pytest.fixture(scope="session")
def lost_worker(warm: Live) -> None:
    """A run whose worker was killed in the middle of a stage, with everything that it had started."""
    # Its release waits ten minutes in `train`.
    warm.airflow.trigger("killed_worker", "killed", {"partition": DAY.isoformat(), "release": "v1.3.0"})
    stage = wait_until(
        lambda: running_stage(warm, "killed_worker", "-m", "pipeline.train"), 240, "no training to kill", every=0.1
    )
    for process in _from_worker_to_stage(stage):
        process.kill()


def _from_worker_to_stage(stage: psutil.Process) -> list[psutil.Process]:
    """The stage and its ancestors up to the executor's worker: the processes that end together when a host is lost."""
    chain = [stage, *stage.parents()]
    worker = next(
        n for n, p in enumerate(chain) if "airflow" in " ".join(p.cmdline()) and "scheduler" in " ".join(p.cmdline())
    )
    return chain[:worker]
