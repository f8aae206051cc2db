"""The API to which tasks report is away for minutes: the stage goes on, and its task ends at its first try."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from foreign_visit import DAY, SENT
from running_stack import Live, wait_until
from stage_process import running_stage
from stopping import stopped

# The killed worker of `lost_worker` is missed meanwhile.
pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("lost_worker")]
# Longer than the two minutes that a cold start may take on a busy machine.
AWAY_SECONDS = 150


def _silent_seconds(live: Live) -> float:
    """Seconds since the last heartbeat of the task `reproduce`, as the scheduler sees it."""
    with contextlib.closing(sqlite3.connect(f"file:{live.stack.airflow_database}?mode=ro", uri=True)) as database:
        (beat,) = database.execute(
            "select last_heartbeat_at from task_instance where dag_id = 'api_server_away' and run_id = 'away' and task_id = 'reproduce'"
        ).fetchone()
    return (datetime.now(UTC) - datetime.fromisoformat(beat).replace(tzinfo=UTC)).total_seconds()


def test_a_running_stage_outlives_an_api_server_that_is_away_for_minutes(live: Live) -> None:
    for day, body in SENT.items():
        folder = f"s3://{live.variables['RETRAIN_RAW_BUCKET']}/raw/api_server_away/dt={day}"
        live.put(f"{folder}/visits.txt", body)
        live.put(f"{folder}/_SUCCESS", b"")
    live.airflow.trigger("api_server_away", "away", {"partition": DAY, "release": "v0.2.0"})
    stage = wait_until(lambda: _counting(live), 240, "no stage begins", every=0.1)
    with stopped(live, "airflow-execution-api"):
        wait_until(lambda: _silent_seconds(live) > AWAY_SECONDS, AWAY_SECONDS + 60, "heartbeats still arrive", every=2)
        assert live.states("api_server_away", "away")["reproduce"] == "running"
    wait_until(lambda: _silent_seconds(live) < 30, 120, "no heartbeat arrives again", every=1)
    assert stage.is_running()
    Path(stage.cwd(), "go-on").touch()
    assert live.ended("api_server_away", "away")["state"] == "success", live.states("api_server_away", "away")
    tried = {name: task["try_number"] for name, task in live.airflow.tasks("api_server_away", "away").items()}
    assert set(tried.values()) == {1}, tried


def _counting(live: Live) -> psutil.Process | None:
    return running_stage(live, "api_server_away", "python", "count.py")
