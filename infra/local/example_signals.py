"""One realistic incident a kind, made of signals as tasks and the watch write them: for the runbooks' pictures and the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from retrain.alerts import incident
from retrain.alerts.backfills import into_thread
from retrain.alerts.diagnosis import diagnose
from retrain.alerts.incident import Incident, Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.messages import PageAddresses
from retrain.alerts.signal import Signal, Step
from retrain.alerts.silences import Silences, read
from retrain.errors import DataRefusedError, MovedTagError, RetrainError, StageKilledError, UnprovenPushError

PIPELINE = "trip_duration"
ADDRESSES = PageAddresses(
    "https://airflow.example.org", "https://mlflow.example.org", "https://git.example.org/retrain/infra/runbooks"
)
_RUN = "scheduled__2020-03-{day}T06:00:00+00:00"
_MLFLOW = f"{ADDRESSES.mlflow}/#/experiments/1/runs/5be1b4a0c2f94d0c8f9a"


@dataclass(frozen=True)
class Example:
    """An incident as it looked while it was open, and after its end."""

    open: Incident
    resolved: Incident


def examples() -> dict[str, Example]:
    """An example of each kind that has incidents, by name: the kind, or the kind and what is special."""
    return {name: _example(name, signals) for name, signals in _SIGNALS.items()}


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


def silences() -> Silences:
    """One in force, one that has ended, one that is refused."""
    return read(
        """
- pipeline: trip_duration
  kind: promotion_refused
  reason: The champion is kept until the new fare zones are labelled.
  issue: https://git.example.org/retrain/issues/31
  since: 2020-03-10
  expires: 2020-03-31
- pipeline: trip_duration
  kind: data_late
  reason: The feed lands after noon until its migration is over.
  issue: https://git.example.org/retrain/issues/12
  since: 2020-02-01
  expires: 2020-03-15
- pipeline: trip_duration
  kind: drift_detected
  reason: Always drifts on holidays.
  issue: https://git.example.org/retrain/issues/27
"""
    )


def _example(name: str, signals: Sequence[Signal]) -> Example:
    folded: Incident | None = None
    before: Incident | None = None
    for signal in signals:
        known = [folded] if folded else []
        told = into_thread(signal, known, datetime.fromisoformat(signal.at))
        changed = incident.apply(known, told, _situation(signal, known)) if told else []
        if len(changed) != 1:
            raise ValueError(f"the signal {signal.id} of the example {name} changes {len(changed)} incidents")
        before, folded = folded, changed[0]
    if before is None or folded is None or folded.open:
        raise ValueError(f"the example {name} does not end")
    return Example(before, folded)


def _situation(signal: Signal, known: Sequence[Incident]) -> Situation:
    """Every day was recorded and promoted, up to the day before a task failed."""
    failed = [day for each in known if each.task for day in each.missing]
    troubled = [*failed, signal.partition or "2020-03-17"]
    day = date.fromisoformat(min(troubled)) - timedelta(days=1)
    recorded = f"{day + timedelta(days=1)}T06:13:51+00:00"
    return Situation(signal.at, str(day.day - 8), str(day), str(day), recorded, "v1.2.0")


def _signal(step: Step, kind: Kind | None, at: str, subject: str = "", **more: Any) -> Signal:
    return Signal(
        f"{kind or more.get('task')}-{step}-{at}", f"2020-03-{at}+00:00", step, PIPELINE, kind, subject, **more
    )


def _failed(at: str, task: str, day: int, tries: int, error: RetrainError, **more: Any) -> Signal:
    """What a task's callback tells of its exception."""
    found, run = diagnose(error, task), _RUN.format(day=f"{day:02}")
    return _signal(
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


def _failed_in_backfill(at: str, day: int) -> Signal:
    refused = DataRefusedError(
        f"Stage prepare refused its data: raw/dt=2020-03-{day:02}/part-0.parquet is empty: 0 rows in column pickup_datetime; "
        "land the partition again."
    )
    run = f"backfill__2020-03-{day:02}T06:00:00+00:00"
    return replace(_failed(at, "reproduce", day, 1, refused, dag_run=run, stage="prepare"), backfill=True)


def _good(at: str, task: str, day: int) -> Signal:
    run = _RUN.format(day=f"{day:02}")
    return _signal(Step.GOOD, None, at, partition=f"2020-03-{day:02}", task=task, facts={"dag_run": run})


def _drifted(
    at: str, day: int, severity: str, days_open: int, fewer: str, features: Sequence[tuple[str, str, float, float]]
) -> Signal:
    return _signal(
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

_KILLED = StageKilledError(
    "Stage train was ended by signal 9 (often the kernel's, out of memory). Clear reproduce; finished stages come back."
)

_SIGNALS: Mapping[str, Sequence[Signal]] = {
    Kind.DATA_LATE: [
        _signal(
            Step.TROUBLE,
            Kind.DATA_LATE,
            "18T10:00:04",
            partition="2020-03-17",
            facts={
                "expected_at": "2020-03-18T10:00:00+00:00",
                "marker": "s3://retrain-raw/raw/yellow/dt=2020-03-17/_SUCCESS",
                "next": "Ask the data's owner. The run goes on by itself when the marker is there.",
            },
        ),
        _signal(Step.GOOD, Kind.DATA_LATE, "18T11:37:12", partition="2020-03-17"),
    ],
    Kind.DATA_REJECTED: [
        _failed(
            "18T06:03:40",
            "reproduce",
            17,
            1,
            DataRefusedError(
                "Stage prepare refused its data: raw/dt=2020-03-17/part-0.parquet has no column pickup_location_id "
                "(it has 17 others); land the partition again with it."
            ),
            stage="prepare",
        ),
        _good("18T11:20:31", "reproduce", 17),
    ],
    Kind.TASK_FAILED: [
        _failed("17T06:19:02", "reproduce", 16, 3, _KILLED, stage="train"),
        _failed("18T06:19:44", "reproduce", 17, 3, _KILLED, stage="train"),
        _good("18T08:50:10", "reproduce", 17),
    ],
    Kind.PUSH_UNPROVEN: [
        _failed(
            "18T06:21:07",
            "push",
            17,
            3,
            UnprovenPushError(
                "2 of 761 objects are not proven on s3://retrain-store/dvc, after an upload of their own: "
                "files/md5/4a/5f0e1c2d3b4a5968778695a4b3c2d1, files/md5/91/c2d7e8f90112233445566778899aab. The run is not "
                "recorded. Something else writes to this prefix, or the store is broken: find it, then clear push."
            ),
        ),
        _good("18T07:02:55", "push", 17),
    ],
    Kind.RELEASE_REFUSED: [
        _failed(
            "18T06:00:31",
            "resolve_run",
            17,
            1,
            MovedTagError(
                "The tag v1.3.0 has moved: pinned at 9f2c1e7d4b6a5968778695a4b3c2d1e0f1021324, the origin now says "
                "41d09a7c55e2d1c04e6a2a4a7b6f0e1d2c3b4a59. Nothing was run. Put the tag back, or release the new commit "
                "under a new tag."
            ),
            release=None,
        ),
        _good("18T07:31:18", "resolve_run", 17),
    ],
    Kind.DRIFT_DETECTED: [
        _drifted("17T06:15:12", 16, "medium", 1, "36%", _FEATURES[:2]),
        _drifted("18T06:15:20", 17, "high", 2, "49%", _FEATURES),
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
                "confidence": "High confidence: 112 rows, 42 earlier days.",
                "reasons": [
                    "mae 5.02, surely between 4.43 and 5.69 (limit 4.61).",
                    "mae 5.02, surely between 4.43 and 5.69: worse than the baseline pair_median (4.78), on 3 of the last 7 days.",
                ],
                "history": "Median of the last 42 days 3.41, highest 4.39.",
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
        _signal(
            Step.GOOD,
            Kind.PROMOTION_REFUSED,
            "20T06:16:37",
            partition="2020-03-19",
            facts={"reason": "mae 4.402 beats the champion's 4.913.", "promoted": True},
        ),
    ],
    Kind.PIPELINE_SILENT: [
        _signal(
            Step.TROUBLE,
            Kind.PIPELINE_SILENT,
            "18T14:00:30",
            partition="2020-03-17",
            facts={
                "expected_at": "2020-03-18T14:00:00+00:00",
                "what": "No run of 2020-03-17 is in the ledger, and nothing has failed.",
                "health": {"DAG": "paused", "running": "no run"},
                "next": "Open the DAG: is it paused, is a run queued, does a task hang?",
            },
        ),
        _signal(Step.GOOD, Kind.PIPELINE_SILENT, "18T14:55:48", partition="2020-03-17"),
    ],
    "pipeline_silent_airflow": [
        replace(
            _signal(
                Step.TROUBLE,
                Kind.PIPELINE_SILENT,
                "18T05:59:00",
                "airflow",
                facts={
                    "what": "Airflow's scheduler has not answered or not beaten since 05:58:10 UTC. No run starts or goes on while this lasts.",
                    "health": {
                        "metadatabase": "healthy",
                        "scheduler": "unhealthy, last beat 2020-03-18T05:57:31.120401+00:00",
                        "triggerer": "healthy, last beat 2020-03-18T05:58:58.301412+00:00",
                        "dag_processor": "healthy, last beat 2020-03-18T05:58:55.720011+00:00",
                    },
                    "next": "Restart scheduler, then look at the runs that were going on.",
                },
            ),
            pipeline="airflow",
        ),
        replace(_signal(Step.GOOD, Kind.PIPELINE_SILENT, "18T06:21:12", "airflow"), pipeline="airflow"),
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
        *(_failed_in_backfill(f"18T13:{minute}:20", day) for minute, day in ((11, 4), (12, 5), (21, 9))),
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
