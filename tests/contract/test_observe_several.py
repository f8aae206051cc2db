"""Several pipelines under one watch: a fault of one of them does not affect the others."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow_pages import AirflowPages, airflow_pages
from botocore.config import Config
from gate import Gate, gate_to
from live_servers import ROOT, connections, free_ports
from stack_model import REGION, Stack

from retrain.airflow.api import AirflowApi
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal
from retrain.alerts.watch.observe.airflow_health import AIRFLOW, UNREACHABLE_FOR
from retrain.alerts.watch.observe.observer import Observer
from retrain.deployment.pipeline_file import Deployment, load

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SINCE = datetime(2020, 3, 10, 20, 0, tzinfo=UTC)
NOON, AFTERNOON = (datetime(2020, 3, 11, hour, tzinfo=UTC) for hour in (12, 15))


@dataclass
class Fleet:
    """Pipelines that all owe the same day, each with buckets of its own, and the gate in front of their S3."""

    gate: Gate
    client: S3Client
    deployments: list[Deployment]

    def observer(self, airflow: str) -> Observer:
        return Observer(self.deployments, self.client, AirflowApi(airflow), SINCE)


@pytest.fixture
def fleet(s3_server: Stack, bucket: Callable[..., str]) -> Iterator[Fleet]:
    plain = load(Path(ROOT) / "dags" / "pipelines" / "trip_duration.yaml")
    made = []
    for name in ("first", "second", "third"):
        raw = plain.raw.model_copy(update={"url": f"s3://{bucket()}/raw"})
        changes = {"pipeline": name, "raw": raw, "ledger": f"s3://{bucket()}/ledger"}
        made.append(plain.model_copy(update=changes))
    with gate_to(s3_server.s3_url) as gate:
        yield Fleet(gate, client(gate.url, s3_server), made)


def client(url: str, stack: Stack) -> S3Client:
    """As the watch's, with less patience."""
    keys = {"aws_access_key_id": stack.secrets.s3_access_key, "aws_secret_access_key": stack.secrets.s3_secret_key}
    config = Config(connect_timeout=1, read_timeout=0.5, retries={"mode": "standard", "total_max_attempts": 1})
    found: S3Client = boto3.client("s3", endpoint_url=url, region_name=REGION, config=config, **keys)
    return found


def nobody() -> str:
    return f"http://127.0.0.1:{free_ports(1)[0]}"


def late(signals: list[Signal]) -> list[str]:
    return [signal.pipeline for signal in signals if signal.kind is Kind.DATA_LATE]


def bucket_of(url: str) -> str:
    return url.split("/")[2]


def unknown_zone(deployment: Deployment) -> Deployment:
    schedule = deployment.schedule.model_copy(update={"timezone": "Mars/Olympus"})
    return deployment.model_copy(update={"schedule": schedule})


def no_bucket(deployment: Deployment) -> Deployment:
    raw = deployment.raw.model_copy(update={"url": "s3://nobodys-bucket/raw"})
    return deployment.model_copy(update={"raw": raw})


@pytest.mark.parametrize("broken", [unknown_zone, no_bucket])
def test_a_pipeline_whose_questions_fail_is_named_and_the_others_and_airflow_are_reported(
    fleet: Fleet, broken: Callable[[Deployment], Deployment]
) -> None:
    fleet.deployments[0] = broken(fleet.deployments[0])
    observer = fleet.observer(nobody())
    observer.observe(NOON, [])
    looked = observer.observe(NOON + UNREACHABLE_FOR, [])
    assert late(looked) == ["second", "third"]
    assert [signal.key for signal in looked if signal.pipeline == AIRFLOW.pipeline] == [AIRFLOW]
    assert list(observer.problems) == ["first"]


def test_an_airflow_whose_address_is_wrong_is_airflow_s_incident_and_each_day_s_data_is_looked_for(
    fleet: Fleet,
) -> None:
    observer = fleet.observer("http://airflow:port")
    observer.observe(NOON, [])
    looked = observer.observe(NOON + UNREACHABLE_FOR, [])
    assert late(looked) == ["first", "second", "third"]
    assert [signal.key for signal in looked if signal.pipeline == AIRFLOW.pipeline] == [AIRFLOW]
    assert observer.problems == {}
    assert "port" in observer.airflow_problem


def test_a_ledger_that_hangs_is_asked_last_and_the_other_pipelines_are_reported(fleet: Fleet) -> None:
    first = fleet.deployments[0]
    fleet.gate.hang(bucket_of(first.ledger))
    observer = fleet.observer(nobody())
    observer.observe(AFTERNOON, [])
    assert set(observer.problems) == {"first", "second", "third"}  # an S3 that does not answer is not asked on
    for _ in range(2):
        looked = observer.observe(AFTERNOON, [])
        assert {"second", "third"} <= set(late(looked))
        assert list(observer.problems) == ["first"]
    assert len(fleet.gate.hung) == 3
    fleet.gate.release()
    assert set(late(observer.observe(AFTERNOON, []))) == {"first", "second", "third"}
    assert observer.problems == {}


def test_an_s3_that_hangs_is_asked_once_a_look_however_many_pipelines_there_are(fleet: Fleet, s3_server: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it takes connections, and never a word
        fleet.client = client(f"http://127.0.0.1:{deaf.getsockname()[1]}", s3_server)
        observer = fleet.observer(nobody())
        for _ in range(3):
            observer.observe(NOON, [])
            assert len(connections(deaf)) == 1
            assert set(observer.problems) == {"first", "second", "third"}


def test_a_slow_s3_takes_its_share_of_a_look_and_each_pipeline_has_its_turn(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain.alerts.watch.observe.observer._S3_SECONDS", 10.0)
    clock = iter(range(0, 10_000, 6))
    monkeypatch.setattr(
        "retrain.alerts.watch.observe.observer.time", SimpleNamespace(monotonic=lambda: next(clock))
    )  # a question takes six seconds
    observer = fleet.observer(nobody())
    told = [late(observer.observe(NOON, [])) for _ in range(3)]
    assert told == [["first"], ["second"], ["third"]]


@pytest.fixture
def pages() -> Iterator[AirflowPages]:
    with airflow_pages() as running:
        yield running


def test_an_airflow_that_hangs_on_one_question_is_asked_no_other_in_that_look(
    fleet: Fleet, pages: AirflowPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain.airflow.api._TIMEOUT", 0.5)
    pages.hang("/api/v2/dags/~/dagRuns")
    observer = fleet.observer(pages.url)
    assert set(late(observer.observe(NOON, []))) == {"first", "second", "third"}
    assert set(observer.problems) == {"first", "second", "third"}
    assert [path for path in pages.asked if "dagRuns" in path] == ["/api/v2/dags/~/dagRuns"]


def run(dag: str, ended: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "dag_id": dag,
        "state": "failed",
        "dag_run_id": f"asset_triggered__{dag}",
        "end_date": ended.isoformat(),
        "run_type": "asset_triggered",
        "conf": None,
        "data_interval_start": None,
        **changes,
    }


def test_a_failed_reading_of_landings_whose_callback_was_killed_is_reported_for_its_pipeline(
    fleet: Fleet, pages: AirflowPages
) -> None:
    fleet.deployments[:] = [
        fleet.deployments[0].model_copy(update={"trigger": "event"}),
        fleet.deployments[1],
    ]
    failed = run("first_landings", NOON - timedelta(hours=1))
    task = {"task_id": "read_messages", "state": "failed", "try_number": 3}
    pages.runs += [failed, run("second_landings", NOON - timedelta(hours=1))]
    pages.tasks += [
        {**task, **{name: each[name] for name in ("dag_id", "dag_run_id", "end_date")}} for each in pages.runs
    ]
    told = [s for s in fleet.observer(pages.url).observe(NOON, []) if s.task == "read_messages"]
    assert [(s.pipeline, s.kind, s.partition) for s in told] == [("first", Kind.TASK_FAILED, None)]
    assert "/dags/first_landings/runs/" in told[0].facts["log_url"]


@pytest.mark.parametrize(
    ("age", "told"),
    [
        pytest.param(timedelta(hours=3), True, id="this morning"),
        pytest.param(timedelta(days=100), False, id="before its incident was forgotten"),
    ],
)
def test_a_finished_backfill_is_announced_while_it_is_news(
    fleet: Fleet, pages: AirflowPages, age: timedelta, told: bool
) -> None:
    del fleet.deployments[1:]
    ended = (NOON - age).isoformat()
    backfill = {
        "id": 4,
        "dag_id": "first",
        "from_date": "2020-01-01T00:00:00Z",
        "to_date": "2020-01-03T00:00:00Z",
        "updated_at": ended,
        "completed_at": ended,
        "is_paused": False,
        "dag_run_conf": {},
    }
    pages.backfills.append(backfill)
    observer = replace(fleet.observer(pages.url), since=NOON - timedelta(days=1000))
    looked = [signal for signal in observer.observe(NOON, []) if signal.kind is Kind.BACKFILL]
    assert bool(looked) is told
