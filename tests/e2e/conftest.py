"""The stack of the end-to-end tests: its own state folder, free ports, the checkout's DAGs and HEAD."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra" / "local"))

import foreign_visit
import landing_queue
import trips
from foreign_repository import ForeignOrigin, make_origin
from running_stack import DAY, DAY_BEFORE, PIPELINE, ROOT, SHARED, Killed, Live, stack_with_trips, wait_until


@pytest.fixture(scope="session")
def foreign_origin(tmp_path_factory: pytest.TempPathFactory) -> ForeignOrigin:
    return make_origin(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory, foreign_origin: ForeignOrigin) -> Path:
    """A folder of three pipeline files: ours, which only looks for its data and retries more often; another team's; a broken one."""
    folder = tmp_path_factory.mktemp("pipelines")
    quick = {"retry_seconds": 10}

    def write(name: str, document: dict[str, Any]) -> None:
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))

    ours = yaml.safe_load((ROOT / "dags" / "pipelines" / f"{PIPELINE}.yaml").read_text())
    write(PIPELINE, {**ours, "raw": {**ours["raw"], "poke_seconds": 2}, "limits": {**ours["limits"], **quick}})
    foreign = {
        "schema_version": 1,
        "description": "How much did visitors send?",
        "owner": "another-team",
        "schedule": {"cron": "30 5 * * *", "start_date": "2018-01-01"},
        "repository": {"url": str(foreign_origin.path)},
        "raw": {"url": "s3://${RETRAIN_RAW_BUCKET}/raw/foreign", "window_days": 3, "poke_seconds": 2},
        "store": "s3://${RETRAIN_STORE_BUCKET}/foreign",
        "ledger": "s3://${RETRAIN_LEDGER_BUCKET}/ledger",
        "limits": quick,
        "tracking": {"experiment": "foreign"},
        "slack": {"channel": "${RETRAIN_SLACK_CHANNEL}"},
    }
    write("foreign", foreign)
    write("broken", {**foreign, "raw": {**foreign["raw"], "window_dayz": 3}})
    return folder


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, pipelines: Path) -> Iterator[Live]:
    """The stack, with the trips of a year up to the day before DAY landed, and HEAD released as v1.0.0."""
    with stack_with_trips(tmp_path_factory.mktemp("state"), pipelines) as running:
        trips.land(DAY - timedelta(days=365), DAY - timedelta(days=1), state=SHARED)
        running.git("tag", "v1.0.0", "refs/heads/main")
        for pipeline in (PIPELINE, "foreign", "broken"):
            wait_until(lambda dag=pipeline: running.airflow.dag(dag), 90, f"Airflow has not read {pipeline}")
        released = running.retrain("release", "v1.0.0")
        assert released.returncode == 0, released.stderr
        running.airflow.unpause(PIPELINE)
        yield running


@pytest.fixture(scope="session")
def queue(live: Live, pipelines: Path) -> str:
    """The runs of the other pipelines have begun: they need nothing of ours. Returns the URL of the queue that starts `landed`."""
    url = landing_queue.begin(live, pipelines)
    live.airflow.unpause("broken")
    live.airflow.trigger("broken", "today", {})
    foreign_visit.begin(live)
    landing_queue.start(live)
    landing_queue.land(live, landing_queue.DAY)
    return url


@pytest.fixture(scope="session")
def killed(live: Live, queue: str) -> Killed:
    """A backfill of the day before DAY, whose training is killed. Airflow tries again after 10 to 20 seconds."""
    assert queue
    day = DAY_BEFORE.isoformat()
    live.airflow.backfill(PIPELINE, day, day, at_once=1, reprocess="none")
    run_id = wait_until(
        lambda: next((r["dag_run_id"] for r in live.airflow.runs(PIPELINE) if r["run_type"] == "backfill"), None),
        60,
        "no backfill run",
    )
    workspaces = live.stack.state / "retrain" / "workspaces" / PIPELINE
    victims = wait_until(lambda: _training_below(workspaces), 420, "no training to kill", every=0.1)
    for process in victims:
        process.kill()
    return Killed(run_id, Path(victims[0].info["cwd"]))


def _training_below(folder: Path) -> list[psutil.Process]:
    """The process of the stage `train` if it runs below this folder."""
    return [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if Path(process.info["cwd"] or "/").is_relative_to(folder)
        and (process.info["cmdline"] or [])[-2:] == ["-m", "pipeline.train"]
    ]
