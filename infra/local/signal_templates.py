"""Signals as the tasks and the watch write them, filled in from the few values in which the examples differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from retrain.alerts.diagnosis import diagnose
from retrain.alerts.kinds import Kind
from retrain.alerts.message.messages import PageAddresses
from retrain.alerts.signal import Signal, Step
from retrain.errors import DataRefusedError, RetrainError

PIPELINE = "trip_duration"
ADDRESSES = PageAddresses(
    "https://airflow.example.org", "https://mlflow.example.org", "https://git.example.org/retrain/infra/runbooks"
)
RUN = "scheduled__2020-03-{day}T06:00:00+00:00"
MLFLOW_RUN = f"{ADDRESSES.mlflow}/#/experiments/1/runs/5be1b4a0c2f94d0c8f9a"


def signal(step: Step, kind: Kind | None, at: str, subject: str = "", **more: Any) -> Signal:
    """A signal at `at`, which is `DDTHH:MM:SS` in March 2020."""
    return Signal(
        f"{kind or more.get('task')}-{step}-{at}", f"2020-03-{at}+00:00", step, PIPELINE, kind, subject, **more
    )


def failed(at: str, task: str, day: int, tries: int, error: RetrainError, **more: Any) -> Signal:
    """The signal of a task's failure callback. `at` is `DDTHH:MM:SS` in March 2020; `more` overrides facts."""
    found, run = diagnose(error, task), RUN.format(day=f"{day:02}")
    return signal(
        Step.TROUBLE,
        found.kind,
        at,
        task if found.kind is Kind.TASK_FAILED else "",
        partition=f"2020-03-{day:02}",
        task=task,
        facts={
            "cause": found.cause,
            "evidence": found.evidence,
            "stage": found.stage,
            "next": found.next,
            "task": task,
            "tries": tries,
            "dag_run": run,
            "log_url": f"{ADDRESSES.airflow}/dags/{PIPELINE}/runs/{run}/tasks/{task}?try_number={tries}",
            "release": "v1.2.0",
            **more,
        },
    )


def failed_in_backfill(at: str, day: int) -> Signal:
    """The signal of a backfilled day whose data was refused."""
    refused = DataRefusedError(
        f"Stage prepare refused its data: raw/dt=2020-03-{day:02}/part-0.parquet is empty: 0 rows in column pickup_datetime; "
        "land the partition again."
    )
    run = f"backfill__2020-03-{day:02}T06:00:00+00:00"
    return replace(failed(at, "reproduce", day, 1, refused, dag_run=run, stage="prepare"), backfill=True)


def good(at: str, task: str, day: int) -> Signal:
    """The signal of a task that succeeded after a failure."""
    run = RUN.format(day=f"{day:02}")
    return signal(Step.GOOD, None, at, partition=f"2020-03-{day:02}", task=task, facts={"dag_run": run})


def drifted(
    at: str, day: int, severity: str, days_open: int, fewer: str, features: Sequence[tuple[str, str, float, float]]
) -> Signal:
    """The signal of a day that drifted. `features` are (name, kind, PSI, limit)."""
    return signal(
        Step.TROUBLE,
        Kind.DRIFT_DETECTED,
        at,
        partition=f"2020-03-{day}",
        facts={
            "severity": severity,
            "confidence": "Medium confidence: with so few rows chance alone reaches the limit of passenger_count.",
            "reasons": [
                f"Target drift: {', '.join(f'{n} {v:.2f} (limit {limit:.2f})' for n, kind, v, limit in features if kind == 'target')}.",
                f"{fewer} fewer rows than usual on this weekday.",
                f"{days_open + 2} of the last 7 days drifted.",
            ],
            "features": [
                {"name": name, "kind": kind, "value": value, "limit": limit} for name, kind, value, limit in features
            ],
            "rows": {"current": 167, "reference": 1312},
            "since": "2020-03-16",
            "days_open": days_open,
            "mlflow_url": MLFLOW_RUN,
            "log_url": f"{ADDRESSES.airflow}/dags/{PIPELINE}/runs/{RUN.format(day=day)}/tasks/check_drift",
        },
    )
