"""Twelve faults, injected into a running stack: the message of each names the right cause, and CODE only if it is the code."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
import trips
from injected import EMPTY_DAY, FAULTS, MLFLOW_DOWN, S3_DOWN, SCHEMA_DAY, Fault
from running_stack import DAY, SHARED, Live, wait_until
from stopping import stopped
from told import incidents

pytestmark = pytest.mark.timeout(1200)


def _land_broken_days(live: Live) -> None:
    """A day without a column, and a day that has nothing but its marker."""
    raw = f"s3://{live.variables['RETRAIN_RAW_BUCKET']}/raw/yellow"
    rows = pd.read_parquet(trips.part_path(SCHEMA_DAY, trips.raw_dir(SHARED))).drop(columns="pickup_location_id")
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    live.put(f"{raw}/dt={SCHEMA_DAY}/part-0.parquet", buffer.getvalue())
    for day in (SCHEMA_DAY, EMPTY_DAY):
        live.put(f"{raw}/dt={day}/_SUCCESS", b"")


def _forbid(live: Live) -> None:
    """A connection whose key S3 does not know."""
    extra = {"endpoint_url": live.stack.s3_url, "region_name": "us-east-1"}
    connection = {"connection_id": "aws_forbidden", "conn_type": "aws", "login": "nobody", "password": "nothing"}
    live.airflow.create_connection({**connection, "extra": json.dumps(extra)})


def _move_tag(live: Live) -> None:
    released = live.retrain("--pipeline", "moved_tag", "release", "v1.6.0")
    assert released.returncode == 0, released.stderr
    live.git("tag", "--force", "v1.6.0", "v1.1.0")


def _trigger(live: Live, fault: Fault) -> None:
    conf = {"partition": fault.partition or DAY.isoformat()}
    live.airflow.trigger(fault.name, fault.name, conf | ({"release": fault.release} if fault.release else {}))


def _assert_told_once(live: Live, fault: Fault) -> None:
    [message] = wait_until(lambda: incidents(live, fault.name), 60, f"no message about {fault.name}")
    assert message["metadata"]["event_payload"]["id"].split("/")[1] == fault.kind
    said = json.dumps(message["blocks"], ensure_ascii=False)
    named = [cause for cause in ("DATA", "CODE", "INFRA", "RELEASE", "UNKNOWN") if cause in said.split("*Next")[0]]
    assert named == [fault.cause], said
    for words in fault.evidence:
        assert words in said
    assert fault.kind in said  # its runbook


@pytest.fixture(scope="module")
def injected(warm: Live) -> Live:
    """All faults that leave each other alone, at once, each to its end."""
    _land_broken_days(warm)
    _forbid(warm)
    _move_tag(warm)
    for fault in FAULTS:
        _trigger(warm, fault)
    return warm


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_reported_once_with_its_cause_and_its_evidence(injected: Live, fault: Fault) -> None:
    assert injected.ended(fault.name, fault.name)["state"] == "failed"
    _assert_told_once(injected, fault)


@pytest.mark.parametrize(("fault", "server"), [(MLFLOW_DOWN, "mlflow"), (S3_DOWN, "s3")], ids=["mlflow", "s3"])
def test_a_server_that_is_down_is_reported_once_and_its_message_ends_in_place_when_the_task_is_cleared(
    injected: Live, fault: Fault, server: str
) -> None:
    with stopped(injected, server):
        _trigger(injected, fault)
        assert injected.ended(fault.name, fault.name)["state"] == "failed"
        _assert_told_once(injected, fault)
    failed = next(name for name, state in injected.states(fault.name, fault.name).items() if state == "failed")
    injected.airflow.clear(fault.name, fault.name, failed)
    assert injected.ended(fault.name, fault.name)["state"] == "success"
    wait_until(lambda: "edited" in incidents(injected, fault.name)[0], 60, "the message was not resolved in place")
    [message] = incidents(injected, fault.name)
    assert "esolved" in json.dumps(message["blocks"])
