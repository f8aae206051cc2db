"""One realistic incident a kind, made of signals as tasks and the watch write them: for the runbooks' pictures and the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from retrain.alerts import incident
from retrain.alerts.incident import Incident, Situation
from retrain.alerts.kinds import QUIET, Kind
from retrain.alerts.messages import Addresses
from retrain.alerts.signal import Signal, Step

PIPELINE = "trip_duration"
ADDRESSES = Addresses(
    "https://airflow.example.org", "https://mlflow.example.org", "https://git.example.org/retrain/infra/runbooks"
)
_RUN = "scheduled__2020-03-{day}T06:00:00+00:00"
_MLFLOW = f"{ADDRESSES.mlflow}/#/experiments/1/runs/5be1b4a0c2f94d0c8f9a"


@dataclass(frozen=True)
class Example:
    """An incident as it looked while it was open, and after its end."""

    open: Incident
    resolved: Incident


def examples() -> dict[Kind, Example]:
    """An example of each kind that has incidents."""
    found = {kind: _example(kind, signals) for kind, signals in _SIGNALS.items()}
    if found.keys() | QUIET != set(Kind):
        raise KeyError(f"no example of {', '.join(sorted(set(Kind) - QUIET - found.keys()))}")
    return found


def notes() -> list[Signal]:
    """What the daily digest tells of."""
    return [
        Signal(
            "promoted",
            "2020-03-17T06:14:09+00:00",
            Step.NOTE,
            PIPELINE,
            Kind.PROMOTED,
            partition="2020-03-16",
            facts={
                "version": "8",
                "from": "7",
                "partition": "2020-03-16",
                "reason": "mae 4.391 beats the champion's 4.502.",
            },
        ),
        Signal(
            "released",
            "2020-03-17T13:02:44+00:00",
            Step.NOTE,
            PIPELINE,
            Kind.RELEASED,
            facts={"tag": "v1.3.0", "commit": "9f2c1e7d4b6a", "from": "v1.2.0"},
        ),
    ]


def _example(kind: Kind, signals: Sequence[Signal]) -> Example:
    folded: Incident | None = None
    before: Incident | None = None
    for signal in signals:
        changed = incident.apply([folded] if folded else [], signal, _situation(signal))
        if len(changed) != 1:
            raise ValueError(f"the signal {signal.id} of the example {kind} changes {len(changed)} incidents")
        before, folded = folded, changed[0]
    if before is None or folded is None or folded.open:
        raise ValueError(f"the example {kind} does not end")
    return Example(before, folded)


def _situation(signal: Signal) -> Situation:
    """Each day of the example's week has been recorded and promoted, up to the day before the trouble."""
    day = date.fromisoformat(signal.partition) - timedelta(days=1) if signal.partition else date(2020, 3, 16)
    recorded = f"{day + timedelta(days=1)}T06:13:51+00:00"
    return Situation(signal.at, str(day.day - 8), str(day), str(day), recorded, "v1.2.0")


def _signal(step: Step, kind: Kind | None, at: str, subject: str = "", **more: Any) -> Signal:
    return Signal(
        f"{kind or more.get('task')}-{step}-{at}", f"2020-03-{at}+00:00", step, PIPELINE, kind, subject, **more
    )


def _failed(kind: Kind, at: str, task: str, day: int, facts: Mapping[str, Any], subject: str = "") -> Signal:
    run = _RUN.format(day=f"{day:02}")
    return _signal(
        Step.TROUBLE,
        kind,
        at,
        subject or task,
        partition=f"2020-03-{day:02}",
        task=task,
        facts={
            "task": task,
            "dag_run": run,
            "release": "v1.2.0",
            "log_url": f"{ADDRESSES.airflow}/dags/{PIPELINE}/runs/{run}/tasks/{task}",
            **facts,
        },
    )


def _good(at: str, task: str, day: int) -> Signal:
    run = _RUN.format(day=f"{day:02}")
    return _signal(Step.GOOD, None, at, partition=f"2020-03-{day:02}", task=task, facts={"dag_run": run})


def _drifted(
    at: str, day: int, severity: str, days_open: int, features: Sequence[tuple[str, str, float, float]]
) -> Signal:
    names = [name for name, *_ in features]
    return _signal(
        Step.TROUBLE,
        Kind.DRIFT_DETECTED,
        at,
        partition=f"2020-03-{day}",
        facts={
            "severity": severity,
            "confidence": "Medium confidence: fewer than 200 trips that day.",
            "reasons": [
                f"{' and '.join(names[:2])} are far from the four Tuesdays before",
                "3 of the last 5 days drifted",
                "two thirds fewer trips than on the four Tuesdays before",
            ],
            "features": [
                {"name": name, "kind": kind, "value": value, "limit": limit} for name, kind, value, limit in features
            ],
            "rows": {"current": 167, "reference": 1312},
            "since": "2020-03-13",
            "days_open": days_open,
            "mlflow_url": _MLFLOW,
            "log_url": f"{ADDRESSES.airflow}/dags/{PIPELINE}/runs/{_RUN.format(day=day)}/tasks/check_drift",
        },
    )


_FEATURES = (
    ("speed", "target", 0.7512, 0.2),
    ("duration", "target", 0.2468, 0.2),
    ("passenger_count", "input", 0.2211, 0.2),
    ("minute_of_day", "input", 0.2093, 0.2),
    ("prediction", "prediction", 0.2051, 0.2),
)

_SIGNALS: Mapping[Kind, Sequence[Signal]] = {
    Kind.DATA_LATE: [
        _signal(
            Step.TROUBLE,
            Kind.DATA_LATE,
            "18T09:00:00",
            partition="2020-03-17",
            task="wait_for_partition",
            facts={
                "expected_at": "2020-03-18T09:00:00+00:00",
                "marker": "s3://retrain-raw/raw/yellow/dt=2020-03-17/_SUCCESS",
            },
        ),
        _signal(Step.GOOD, Kind.DATA_LATE, "18T10:37:12", partition="2020-03-17"),
    ],
    Kind.DATA_REJECTED: [
        _failed(
            Kind.DATA_REJECTED,
            "18T06:03:40",
            "reproduce",
            17,
            {
                "cause": "DATA",
                "stage": "prepare",
                "tries": 1,
                "evidence": "dt=2020-03-17/part-0.parquet: pickup_location_id is missing. Land the day again with all of its columns.",
            },
        ),
        _good("18T11:20:31", "reproduce", 17),
    ],
    Kind.TASK_FAILED: [
        _failed(
            Kind.TASK_FAILED,
            "17T06:19:02",
            "reproduce",
            16,
            {
                "cause": "INFRA",
                "stage": "train",
                "tries": 3,
                "evidence": "stage train: killed by signal 9 (SIGKILL), usually for lack of memory",
            },
        ),
        _failed(
            Kind.TASK_FAILED,
            "18T06:19:44",
            "reproduce",
            17,
            {
                "cause": "INFRA",
                "stage": "train",
                "tries": 3,
                "evidence": "stage train: killed by signal 9 (SIGKILL), usually for lack of memory",
                "next": "Free memory on the worker, or give it more, then clear `reproduce`.",
            },
        ),
        _good("18T08:50:10", "reproduce", 17),
    ],
    Kind.PUSH_UNPROVEN: [
        _failed(
            Kind.PUSH_UNPROVEN,
            "18T06:21:07",
            "push",
            17,
            {
                "cause": "INFRA",
                "tries": 3,
                "evidence": "2 of 761 objects are not on s3://retrain-store/dvc with their content: files/md5/4a/5f0e… is 0 bytes (26,123 expected), "
                "files/md5/91/c2d7… is missing",
            },
        ),
        _good("18T07:02:55", "push", 17),
    ],
    Kind.RELEASE_REFUSED: [
        _failed(
            Kind.RELEASE_REFUSED,
            "18T06:00:31",
            "resolve_run",
            17,
            {
                "cause": "RELEASE",
                "release": "v1.3.0",
                "tries": 1,
                "evidence": "The tag v1.3.0 is at 41d09a7c55e2 now and was pinned at 9f2c1e7d4b6a. A released tag must not move: tag the new commit anew.",
            },
            "v1.3.0",
        ),
        _good("18T07:31:18", "resolve_run", 17),
    ],
    Kind.DRIFT_DETECTED: [
        _drifted("17T06:15:12", 16, "medium", 1, _FEATURES[:2]),
        _drifted("18T06:15:20", 17, "high", 2, _FEATURES),
        _signal(
            Step.GOOD,
            Kind.DRIFT_DETECTED,
            "24T06:15:33",
            partition="2020-03-23",
            facts={"dag_run": _RUN.format(day=23)},
        ),
    ],
    Kind.PERFORMANCE_DROPPED: [
        _signal(
            Step.TROUBLE,
            Kind.PERFORMANCE_DROPPED,
            "19T06:16:01",
            partition="2020-03-18",
            facts={
                "severity": "high",
                "metric": "mae",
                "value": 5.0217,
                "interval": [4.4312, 5.6871],
                "limit": 4.61,
                "baselines": {"pair_median": 4.781, "global_median": 6.322},
                "history": "The median of the 28 days before is 3.41; none of them was above 4.39.",
                "mlflow_url": _MLFLOW,
            },
        ),
        _signal(Step.GOOD, Kind.PERFORMANCE_DROPPED, "21T06:16:12", partition="2020-03-20"),
    ],
    Kind.PROMOTION_REFUSED: [
        _signal(
            Step.TROUBLE,
            Kind.PROMOTION_REFUSED,
            "19T06:16:40",
            partition="2020-03-18",
            facts={
                "reason": "mae 5.022 does not beat the baseline pair_median (4.781).",
                "champion": {"version": "9", "partition": "2020-03-17", "age_days": 1},
                "challenger": {"version": "10", "mae": 5.0217},
                "metric": "mae",
                "baselines": {"pair_median": 4.781, "global_median": 6.322},
                "mlflow_url": _MLFLOW,
            },
        ),
        _signal(Step.GOOD, Kind.PROMOTION_REFUSED, "20T06:16:37", partition="2020-03-19"),
    ],
    Kind.PIPELINE_SILENT: [
        _signal(
            Step.TROUBLE,
            Kind.PIPELINE_SILENT,
            "18T08:01:30",
            partition="2020-03-17",
            facts={
                "expected_at": "2020-03-18T08:00:00+00:00",
                "what": "The data landed at 04:12 UTC, no run of the day is in the ledger, and Airflow's scheduler gives no sign of life.",
                "cause": "INFRA",
                "health": {
                    "scheduler": {"status": "unhealthy", "age": 7412},
                    "triggerer": {"status": "healthy", "age": 4},
                    "dag_processor": {"status": "healthy", "age": 9},
                    "api": {"status": "healthy"},
                },
            },
        ),
        _signal(Step.GOOD, Kind.PIPELINE_SILENT, "18T08:55:48", partition="2020-03-17"),
    ],
    Kind.BACKFILL: [
        _signal(
            Step.PROGRESS,
            Kind.BACKFILL,
            "18T13:00:05",
            "12",
            facts={
                "id": "12",
                "from": "2020-03-02",
                "to": "2020-03-15",
                "total": 14,
                "done": 0,
                "running": 2,
                "failed": 0,
            }
            | {"state": "running", "release": "v1.2.0"},
        ),
        *(
            _signal(
                Step.TROUBLE,
                Kind.BACKFILL,
                f"18T13:{minute}:20",
                "12",
                partition=f"2020-03-{day:02}",
                task="reproduce",
                backfill=True,
                facts={
                    "task": "reproduce",
                    "cause": "DATA",
                    "stage": "prepare",
                    "tries": 1,
                    "evidence": f"dt=2020-03-{day:02}/part-0.parquet: 41 % of dropoff_datetime are empty (limit 5 %). Land the day again.",
                    "dag_run": f"backfill__2020-03-{day:02}T06:00:00+00:00",
                    "log_url": f"{ADDRESSES.airflow}/dags/{PIPELINE}/runs/backfill__2020-03-{day:02}T06:00:00+00:00/tasks/reproduce",
                },
            )
            for minute, day in ((11, 4), (12, 5), (21, 9))
        ),
        _signal(
            Step.PROGRESS,
            Kind.BACKFILL,
            "18T13:21:40",
            "12",
            facts={
                "id": "12",
                "from": "2020-03-02",
                "to": "2020-03-15",
                "total": 14,
                "done": 6,
                "running": 2,
                "failed": 3,
            }
            | {"state": "running", "release": "v1.2.0"},
        ),
        _signal(
            Step.GOOD,
            Kind.BACKFILL,
            "18T13:44:02",
            "12",
            facts={"done": 11, "running": 0, "failed": 3, "state": "finished"},
        ),
    ],
}
