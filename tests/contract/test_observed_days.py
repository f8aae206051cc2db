"""Which day the watch takes a run for, from what Airflow's API says of it, in another time zone than UTC."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
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
    plain = {"dag_run_id": name, "end_date": ENDED, "run_type": "manual", "conf": {}, "data_interval_start": None}
    return plain | described


RUNS = [
    run("scheduled", run_type="scheduled", data_interval_start="2020-03-10T21:00:00Z"),
    run("with a Param", conf={"partition": "2020-03-03"}, data_interval_start="2020-03-10T21:00:00Z"),
    run("of a day to come", conf={"partition": "2062-03-03"}),
    run("of no day"),
]
BACKFILL = {
    "id": 7,
    "from_date": "2020-03-01T15:00:00Z",
    "to_date": "2020-03-08T14:59:00Z",
    "completed_at": None,
    "updated_at": ENDED,
    "is_paused": False,
    "dag_run_conf": None,
}


class Airflow(BaseHTTPRequestHandler):
    """Four failed runs and a backfill."""

    def do_GET(self) -> None:
        answers = {
            "monitor/health": {},
            "auth/token": {"access_token": "a token"},
            "taskInstances": {"task_instances": [{"task_id": "push", "try_number": 1, "end_date": ENDED}]},
            "state=failed": {"dag_runs": RUNS},
            "dagRuns": {"dag_runs": []},
            "backfills": {"backfills": [BACKFILL]},
        }
        found = next((answer for part, answer in answers.items() if part in self.path), None)
        self.send_response(404 if found is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def observer(bucket: Callable[..., str], s3: S3Client) -> Iterator[Observer]:
    plain = load(Path(ROOT) / "dags" / "pipelines" / "trip_duration.yaml")
    raw = plain.raw.model_copy(update={"url": f"s3://{bucket(versioned=True)}/raw"})
    schedule = Schedule(cron="0 6 * * *", timezone="Asia/Tokyo", start_date=plain.schedule.start_date)
    changes = {"raw": raw, "ledger": f"s3://{bucket()}/ledger", "schedule": schedule}
    with ThreadingHTTPServer(("127.0.0.1", 0), Airflow) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        airflow = AirflowApi(f"http://127.0.0.1:{server.server_address[1]}")
        yield Observer([plain.model_copy(update=changes)], s3, airflow, BEFORE)
        server.shutdown()


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
