"""The signals of the example incidents, by the example's name, each list from the first failure to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from signal_templates import MLFLOW_RUN, PIPELINE, RUN, drifted, failed, failed_in_backfill, good, signal

from retrain.alerts.facts import FactsJson
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step
from retrain.errors import DataRefusedError, MovedTagError, StageKilledError, UnprovenPushError


def notes() -> list[Signal]:
    """The signals of the daily digest."""
    return [
        Signal(
            "promoted",
            "2020-03-17T06:14:09+00:00",
            Step.NOTE,
            PIPELINE,
            Kind.PROMOTED,
            partition="2020-03-16",
            facts=FactsJson(
                {
                    "version": "8",
                    "from": "7",
                    "partition": "2020-03-16",
                    "reason": "mae 4.391 beats the champion's 4.502.",
                }
            ),
        ),
        Signal(
            "released",
            "2020-03-17T13:02:44+00:00",
            Step.NOTE,
            PIPELINE,
            Kind.RELEASED,
            facts=FactsJson({"tag": "v1.3.0", "commit": "9f2c1e7d4b6a", "from": "v1.2.0"}),
        ),
    ]


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

SIGNALS: Mapping[str, Sequence[Signal]] = {
    Kind.DATA_LATE: [
        signal(
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
        signal(Step.GOOD, Kind.DATA_LATE, "18T11:37:12", partition="2020-03-17"),
    ],
    Kind.DATA_REJECTED: [
        failed(
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
        good("18T11:20:31", "reproduce", 17),
    ],
    Kind.TASK_FAILED: [
        failed("17T06:19:02", "reproduce", 16, 3, _KILLED, stage="train"),
        failed("18T06:19:44", "reproduce", 17, 3, _KILLED, stage="train"),
        good("18T08:50:10", "reproduce", 17),
    ],
    Kind.PUSH_UNPROVEN: [
        failed(
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
        good("18T07:02:55", "push", 17),
    ],
    Kind.RELEASE_REFUSED: [
        failed(
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
        good("18T07:31:18", "resolve_run", 17),
    ],
    Kind.DRIFT_DETECTED: [
        drifted("17T06:15:12", 16, "medium", 1, "36%", _FEATURES[:2]),
        drifted("18T06:15:20", 17, "high", 2, "49%", _FEATURES),
        signal(
            Step.GOOD,
            Kind.DRIFT_DETECTED,
            "24T06:15:33",
            partition="2020-03-23",
            facts={"dag_run": RUN.format(day=23)},
        ),
    ],
    Kind.PERFORMANCE_DROPPED: [
        signal(
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
                    "mae 5.02, confidence interval 4.43 to 5.69 (limit 4.61).",
                    "mae 5.02, confidence interval 4.43 to 5.69: worse than the baseline pair_median (4.78), on 3 of the last 7 days.",
                ],
                "history": "Median of the last 42 days 3.41, highest 4.39.",
                "mlflow_url": MLFLOW_RUN,
            },
        ),
        signal(Step.GOOD, Kind.PERFORMANCE_DROPPED, "21T06:16:12", partition="2020-03-20"),
    ],
    Kind.PROMOTION_REFUSED: [
        signal(
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
                "mlflow_url": MLFLOW_RUN,
            },
        ),
        signal(
            Step.GOOD,
            Kind.PROMOTION_REFUSED,
            "20T06:16:37",
            partition="2020-03-19",
            facts={"reason": "mae 4.402 beats the champion's 4.913.", "promoted": True},
        ),
    ],
    Kind.PIPELINE_SILENT: [
        signal(
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
        signal(Step.GOOD, Kind.PIPELINE_SILENT, "18T14:55:48", partition="2020-03-17"),
    ],
    "pipeline_silent_airflow": [
        replace(
            signal(
                Step.TROUBLE,
                Kind.PIPELINE_SILENT,
                "18T05:59:00",
                "airflow",
                facts={
                    "what": "No answer or no heartbeat from Airflow's scheduler since 05:58:10 UTC. No run starts or continues while this lasts.",
                    "health": {
                        "metadatabase": "healthy",
                        "scheduler": "unhealthy, last beat 2020-03-18T05:57:31.120401+00:00",
                        "triggerer": "healthy, last beat 2020-03-18T05:58:58.301412+00:00",
                        "dag_processor": "healthy, last beat 2020-03-18T05:58:55.720011+00:00",
                    },
                    "next": "Restart scheduler, then check the runs that were in progress.",
                },
            ),
            pipeline="airflow",
        ),
        replace(signal(Step.GOOD, Kind.PIPELINE_SILENT, "18T06:21:12", "airflow"), pipeline="airflow"),
    ],
    Kind.BACKFILL: [
        signal(
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
        *(failed_in_backfill(f"18T13:{minute}:20", day) for minute, day in ((11, 4), (12, 5), (21, 9))),
        signal(
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
        signal(
            Step.GOOD,
            Kind.BACKFILL,
            "18T13:44:02",
            "12",
            facts={"done": 11, "running": 0, "failed": 3, "state": "finished"},
        ),
    ],
}
