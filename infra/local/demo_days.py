"""The days that the demo has played, read from Airflow: one row for each day's newest run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import yaml
from airflow_client import AirflowClient
from stack import ROOT
from stack_model import Stack

# A run's partition and its tasks' results are read by the same code that runs in Airflow.
sys.path.insert(0, str(ROOT / "plugins"))

from retrain.deployment.sections import Schedule
from retrain.errors import TaskResultError
from retrain.judge.verdict import State
from retrain.results import BACKFILL, Checked, Promoted, Recorded, Reproduced, Resolved, TaskResult
from retrain.run import partition as partitions

R = TypeVar("R", bound=TaskResult)

PIPELINE = "trip_duration"
FIRST, LAST = date(2020, 3, 9), date(2020, 3, 18)


@dataclass(frozen=True)
class PlayedDay:
    """A row of the demo's table: a day's newest run. Errors in minutes; `seconds` from the run's start to its end."""

    partition: str
    run_id: str
    run_type: str
    state: str
    release: str | None
    commit: str | None
    rows: int | None
    mae: float | None
    baseline_mae: float | None
    drifted: dict[str, float]
    alert: bool
    model_version: str | None
    promoted: bool | None
    promotion: str | None
    from_cache: int | None
    mlflow_run: str | None
    seconds: float | None

    @property
    def is_backfill(self) -> bool:
        return self.run_type == BACKFILL


@dataclass(frozen=True)
class DemoRuns:
    """The DAG runs of the demo's pipeline."""

    airflow: AirflowClient
    schedule: Schedule

    def newest(self) -> dict[str, dict[str, Any]]:
        """Partition -> its newest DAG run, as Airflow's API returns it."""
        found: dict[str, dict[str, Any]] = {}
        for run in self.airflow.runs(PIPELINE):
            found.setdefault(self._partition(run), run)
        return found

    def days(self) -> list[PlayedDay]:
        """The demo's days that have a run, oldest day first; none while Airflow does not know the DAG."""
        if self.airflow.dag(PIPELINE) is None:
            return []
        newest = self.newest()
        return [
            self._day(newest[partition], partition)
            for partition in sorted(newest)
            if FIRST.isoformat() <= partition <= LAST.isoformat()
        ]

    def _partition(self, run: dict[str, Any]) -> str:
        """The run's partition, as its DAG computes it; empty for a run that was refused because it has none."""
        return partitions.of_api(run, self.schedule, now=datetime.now(UTC)) or ""

    def _day(self, run: dict[str, Any], partition: str) -> PlayedDay:
        run_id = run["dag_run_id"]
        resolved = self._result(run_id, Resolved)
        reproduced = self._result(run_id, Reproduced)
        recorded = self._result(run_id, Recorded)
        checked = self._result(run_id, Checked)
        promoted = self._result(run_id, Promoted)
        metrics = recorded.metrics if recorded else {}
        drift = checked.drift if checked else None
        return PlayedDay(
            partition=partition,
            run_id=run_id,
            run_type=run["run_type"],
            state=run["state"],
            release=resolved.release if resolved else None,
            commit=resolved.commit if resolved else None,
            rows=int(metrics["rows"]) if "rows" in metrics else None,
            mae=metrics.get("model.mae"),
            baseline_mae=metrics.get("pair_median.mae"),
            drifted={feature.name: feature.value for feature in drift.features} if drift else {},
            alert=drift is not None and drift.state is State.ALERT,
            model_version=recorded.model_version if recorded else None,
            promoted=promoted.promoted if promoted else None,
            promotion=promoted.reason if promoted else None,
            from_cache=len(reproduced.cached) if reproduced else None,
            mlflow_run=recorded.url if recorded else None,
            seconds=run["duration"],
        )

    def _result(self, run_id: str, kind: type[R]) -> R | None:
        """A task's result; None if it has none yet, or if another version of the deployment wrote it."""
        value = self.airflow.left_behind(PIPELINE, run_id, kind.task)
        try:
            return None if value is None else kind.from_json(value)
        except TaskResultError:
            return None


def schedule_of(stack: Stack) -> Schedule:
    """The schedule in the pipeline's file, not validated: Airflow has read it, and croniter is not installed here."""
    folder = stack.pipelines or ROOT / "dags" / "pipelines"
    document = yaml.safe_load((folder / f"{PIPELINE}.yaml").read_text(encoding="utf-8"))
    return Schedule.model_construct(**document["schedule"])
