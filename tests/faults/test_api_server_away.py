"""The API to which tasks report is away for minutes: the stage goes on, and its task ends at its first try."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from running_stack import DAY, Live, wait_until
from stage_process import training
from stopping import stopped

pytestmark = pytest.mark.timeout(1200)
# Longer than the two minutes that a cold start may take on a busy machine.
AWAY_SECONDS = 150


def _silent_seconds(live: Live) -> float:
    """Seconds since the last heartbeat of the task `reproduce`, as the scheduler sees it."""
    with contextlib.closing(sqlite3.connect(f"file:{live.stack.airflow_database}?mode=ro", uri=True)) as database:
        (beat,) = database.execute(
            "select last_heartbeat_at from task_instance where dag_id = 'api_server_away' and task_id = 'reproduce'"
        ).fetchone()
    return (datetime.now(UTC) - datetime.fromisoformat(beat).replace(tzinfo=UTC)).total_seconds()


def test_a_running_stage_outlives_an_api_server_that_is_away_for_minutes(warm: Live) -> None:
    warm.airflow.trigger("api_server_away", "away", {"partition": DAY.isoformat(), "release": "v1.7.0"})
    stage = wait_until(lambda: training(warm, "api_server_away"), 240, "no training begins", every=0.1)
    with stopped(warm, "airflow-execution-api"):
        wait_until(lambda: _silent_seconds(warm) > AWAY_SECONDS, AWAY_SECONDS + 60, "heartbeats still arrive", every=2)
        assert warm.states("api_server_away", "away")["reproduce"] == "running"
    wait_until(lambda: _silent_seconds(warm) < 30, 120, "no heartbeat arrives again", every=1)
    assert stage.is_running()
    Path(stage.cwd(), "go-on").touch()
    assert warm.ended("api_server_away", "away")["state"] == "success", warm.states("api_server_away", "away")
    tried = {name: task["try_number"] for name, task in warm.airflow.tasks("api_server_away", "away").items()}
    assert set(tried.values()) == {1}, tried
