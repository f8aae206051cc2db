"""Which day the watch takes a run for, from what Airflow's API says of it, in another time zone than UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow_pages import airflow_pages
from live_servers import ROOT

from retrain.airflow.api import AirflowApi
from retrain.alerts.kinds import Kind
from retrain.alerts.watch.observe.observer import Observer
from retrain.deployment.pipeline_file import load
from retrain.deployment.sections import Schedule

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NOW = datetime(2020, 3, 12, 3, tzinfo=UTC)
BEFORE = datetime(2020, 3, 11, 12, tzinfo=UTC)
ENDED = "2020-03-12T00:10:00Z"


def run(name: str, **described: Any) -> dict[str, Any]:
    plain = {
        "dag_id": "trip_duration",
        "state": "failed",
        "dag_run_id": name,
        "end_date": ENDED,
        "run_type": "manual",
        "conf": {},
        "data_interval_start": None,
    }
    return plain | described


RUNS = [
    run("scheduled", run_type="scheduled", data_interval_start="2020-03-10T21:00:00Z"),
    run("with a Param", conf={"partition": "2020-03-03"}, data_interval_start="2020-03-10T21:00:00Z"),
    run("of a day to come", conf={"partition": "2062-03-03"}),
    run("of no day"),
]
BACKFILL = {
    "id": 7,
    "dag_id": "trip_duration",
    "from_date": "2020-03-01T15:00:00Z",
    "to_date": "2020-03-08T14:59:00Z",
    "completed_at": None,
    "updated_at": ENDED,
    "is_paused": False,
    "dag_run_conf": None,
}


@pytest.fixture
def observer(bucket: Callable[..., str], s3: S3Client) -> Iterator[Observer]:
    plain = load(Path(ROOT) / "dags" / "pipelines" / "trip_duration.yaml")
    raw = plain.raw.model_copy(update={"url": f"s3://{bucket(versioned=True)}/raw"})
    schedule = Schedule(cron="0 6 * * *", timezone="Asia/Tokyo", start_date=plain.schedule.start_date)
    changes = {"raw": raw, "ledger": f"s3://{bucket()}/ledger", "schedule": schedule}
    with airflow_pages() as pages:
        pages.runs += RUNS
        pages.tasks += [
            {"task_id": "push", "state": "failed", "try_number": 1, "end_date": ENDED, "dag_id": "trip_duration"}
            | {"dag_run_id": each["dag_run_id"]}
            for each in RUNS
        ]
        pages.backfills.append(BACKFILL)
        yield Observer([plain.model_copy(update=changes)], s3, AirflowApi(pages.url), BEFORE)


def test_the_days_of_runs_are_those_of_the_schedules_zone(observer: Observer) -> None:
    told = {signal.facts["dag_run"]: signal.partition for signal in observer.observe(NOW, []) if signal.task == "push"}
    assert observer.problems == {}
    assert told == {
        "scheduled": "2020-03-11",
        "with a Param": "2020-03-03",
        "of a day to come": None,
        "of no day": None,
    }


def test_the_days_of_a_backfill_are_those_of_the_schedules_zone(observer: Observer) -> None:
    (counted,) = [signal for signal in observer.observe(NOW, []) if signal.kind is Kind.BACKFILL]
    assert (counted.facts["from"], counted.facts["to"]) == ("2020-03-02", "2020-03-08")


def test_the_watch_expects_the_days_of_the_schedule_s_time_zone(observer: Observer) -> None:
    looked = observer.observe(datetime(2020, 3, 12, 2, tzinfo=UTC), [])
    assert [signal.partition for signal in looked if signal.kind is Kind.DATA_LATE] == ["2020-03-11"]
