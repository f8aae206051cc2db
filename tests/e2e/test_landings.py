"""A pipeline that S3's messages start: a day's run starts when its marker lands, once, even if messages repeat or are broken."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from landing_queue import DAY, PIPELINE, PREFIX, land
from running_stack import Live, wait_until

pytestmark = pytest.mark.timeout(900)

OLDER = "2024-02-27"


def landed_runs(live: Live, day: str) -> list[dict[str, Any]]:
    return [run for run in live.airflow.runs(PIPELINE) if run["dag_run_id"].startswith(f"landed__{day}__")]


def first_run(live: Live, day: str) -> str:
    found = wait_until(lambda: landed_runs(live, day), 120, f"no message has started the run of {day}")
    return str(found[0]["dag_run_id"])


def test_a_marker_starts_its_days_run(live: Live, queue: str) -> None:
    """The fixture `queue` has landed it."""
    assert queue
    run_id = first_run(live, DAY)
    assert live.ended(PIPELINE, run_id)["state"] == "success", live.states(PIPELINE, run_id)
    assert live.left_behind(PIPELINE, run_id, "resolve_run")["resolve_run"]["partition"] == DAY


def test_a_message_that_comes_twice_or_is_garbage_starts_nothing_and_an_older_day_that_comes_later_runs(
    live: Live, queue: str
) -> None:
    (before,) = landed_runs(live, DAY)
    token = before["dag_run_id"].split("__")[2]
    place = {
        "bucket": {"name": live.variables["RETRAIN_RAW_BUCKET"]},
        "object": {"key": f"{PREFIX}dt%3D{DAY}/_SUCCESS"},
    }
    place["object"]["versionId"] = token
    twice = {"Records": [{"eventName": "ObjectCreated:Put", "eventTime": "2024-03-01T00:00:00Z", "s3": place}]}
    boto3.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(twice))
    boto3.client("sqs").send_message(QueueUrl=queue, MessageBody="none of S3's")
    land(live, OLDER)
    run_id = first_run(live, OLDER)
    assert live.ended(PIPELINE, run_id)["state"] == "success"
    readers = f"{PIPELINE}_landings"
    wait_until(
        lambda: all(run["state"] in ("success", "failed") for run in live.airflow.runs(readers)), 120, "still reading"
    )
    ended = {run["dag_run_id"]: run["state"] for run in live.airflow.runs(readers)}
    assert sorted(ended.values()).count("failed") == 1
    (refused,) = (run_id for run_id, state in ended.items() if state == "failed")
    assert {task: state for task, state in live.states(readers, refused).items() if state == "failed"} == {
        "refuse_others": "failed"
    }
    assert [run["dag_run_id"] for run in landed_runs(live, DAY)] == [before["dag_run_id"]]
