"""Silence is reported too: a dead scheduler, data that does not land, a day without a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from conftest import Overdue
from running_stack import Live, wait_until
from stopping import stopped
from told import incidents

pytestmark = pytest.mark.timeout(1500)


def test_a_stopped_scheduler_is_reported_within_two_minutes_and_its_message_ends_in_place(live: Live) -> None:
    with stopped(live, "airflow-scheduler"):
        message = wait_until(lambda: next(iter(incidents(live, "airflow")), None), 120, "no message")
        assert "scheduler" in json.dumps(message["blocks"])
    wait_until(lambda: "esolved" in json.dumps(incidents(live, "airflow")[0]["blocks"]), 120, "it is not resolved")
    assert len(incidents(live, "airflow")) == 1


def test_late_data_is_reported_after_its_deadline_and_the_message_ends_in_place_when_it_lands(
    live: Live, overdue: Overdue
) -> None:
    raw = f"s3://{live.variables['RETRAIN_RAW_BUCKET']}/raw/overdue/dt={overdue.partition}"
    _wait_for(overdue.landed)
    message = wait_until(lambda: next(iter(incidents(live, "overdue", "data_late")), None), 120, "no message")
    assert overdue.partition in message["text"]
    live.put(f"{raw}/part-0.csv", b"1")
    live.put(f"{raw}/_SUCCESS", b"")
    wait_until(
        lambda: "esolved" in json.dumps(incidents(live, "overdue", "data_late")[0]["blocks"]), 60, "it is not resolved"
    )


def test_a_day_without_a_run_is_reported_with_the_reason_and_the_message_ends_in_place_when_it_is_recorded(
    live: Live, overdue: Overdue
) -> None:
    _wait_for(overdue.recorded)
    message = wait_until(lambda: next(iter(incidents(live, "overdue", "pipeline_silent")), None), 120, "no message")
    assert overdue.partition in message["text"]
    assert "paused" in json.dumps(message["blocks"])
    live.airflow.unpause("overdue")
    live.airflow.trigger("overdue", "late-run", {"partition": overdue.partition})
    assert live.ended("overdue", "late-run")["state"] == "success"
    wait_until(
        lambda: "esolved" in json.dumps(incidents(live, "overdue", "pipeline_silent")[0]["blocks"]),
        60,
        "it is not resolved",
    )


def _wait_for(moment: datetime) -> None:
    wait_until(lambda: datetime.now(UTC) >= moment, 600, f"{moment} has not come")
