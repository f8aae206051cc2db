"""What Airflow says about all pipelines together: each listing is requested once a look, whatever the number of pipelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from retrain.airflow.api import AirflowApi
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.deployment.dag_ids import LANDINGS
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import AirflowApiError

LOOK_BACK = timedelta(days=2)  # how far back the ends of runs and backfills are news
# A look lists the runs that ended since the look before it, and those of this time before that: Airflow's clock may be behind
# ours, and a run that ended just now is left for a later look.
OVERLAP = timedelta(minutes=10)
SWEEP = timedelta(minutes=10)  # between two looks that list every DAG's backfills

_SWEEPS = "backfill_progress"  # the question that a sweep is for
# The questions that read runs from where the last look ended.
_READ_ON = frozenset({"unreported_ends", _SWEEPS})

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Progress:
    """How far the watch has read Airflow's runs: up to `until`, for these DAGs.

    `swept`: the newest look that listed every DAG's backfills. `all_known`: the newest in which Airflow knew all DAGs. All UTC.
    """

    dags: frozenset[str] = frozenset()
    until: datetime | None = None
    swept: datetime | None = None
    all_known: datetime | None = None


@dataclass
class FleetAnswers:
    """The listings of one look at `now`. An answer is kept for the look, a refusal as well.

    Raises:
        AirflowApiError: from every method, if Airflow refused the listing, or did not answer it.
    """

    airflow: AirflowApi
    deployments: Sequence[Deployment]
    incidents: Sequence[Incident]
    since: datetime
    now: datetime
    before: Progress
    missed: set[str] = field(default_factory=set)  # questions that failed or were not asked, about any pipeline
    _known: dict[str, object] = field(default_factory=dict)

    @property
    def dags(self) -> list[str]:
        """The DAGs of all pipelines, with those that read landings."""
        readers = [f"{each.pipeline}{LANDINGS}" for each in self.deployments if each.trigger == "event"]
        return [*(each.pipeline for each in self.deployments), *readers]

    @property
    def is_sweep(self) -> bool:
        """True if this look lists every DAG's backfills: the first one, and one every ten minutes."""
        swept = self.before.swept
        return swept is None or self.now - swept >= SWEEP or self.before.dags != frozenset(self.dags)

    def knows(self, dag: str) -> bool:
        """True if Airflow knows the DAG. It is asked once in ten minutes, and in each look while one is missing."""
        checked = self.before.all_known
        if checked is not None and self.now - checked < SWEEP and self.before.dags == frozenset(self.dags):
            return True
        return dag in self._once("dags", lambda: self.airflow.known_dags(self.dags))

    def failed_runs(self, dag: str) -> list[dict[str, Any]]:
        """The runs of a DAG that have failed since the newest look, and for a while before it."""
        begin = self._begin().isoformat()
        found = self._once("failed", lambda: self.airflow.runs_of(self.dags, state="failed", end_date_gte=begin))
        return [run for run in found if run["dag_id"] == dag]

    def succeeded_runs(self, dag: str) -> list[dict[str, Any]]:
        """The runs of a DAG that have succeeded since the oldest open incident of a task began, two days at most."""
        opened = [datetime.fromisoformat(each.opened_at) for each in self.incidents if each.open and each.task]
        begin = max(self.since, self.now - LOOK_BACK, min(opened, default=self.now)).isoformat()
        found = self._once("succeeded", lambda: self.airflow.runs_of(self.dags, state="success", end_date_gte=begin))
        return [run for run in found if run["dag_id"] == dag]

    def pin_text(self, pipeline: str) -> str | None:
        """The text of a pipeline's pin; None if none is set."""
        pipelines = [each.pipeline for each in self.deployments]
        return self._once("pins", lambda: self.airflow.pin_texts(pipelines)).get(pipeline)

    def may_backfill(self, dag: str) -> bool:
        """True if the DAG's backfills are worth a request: one is open, or a run of one has changed. In a sweep, of every DAG."""
        running = {i.key.pipeline for i in self.incidents if i.open and i.key.kind is Kind.BACKFILL}
        if dag in running or self.is_sweep:
            return True
        others = [each.pipeline for each in self.deployments if each.pipeline not in running]
        begin = self._begin().isoformat()
        changed = self._once(
            "backfills", lambda: self.airflow.runs_of(others, run_type="backfill", updated_at_gte=begin)
        )
        return any(run["dag_id"] == dag for run in changed)

    def progress(self) -> Progress:
        """How far the runs have been read after this look. What was missed is read again in the next one."""
        dags, known = frozenset(self.dags), self._known.get("dags")
        all_known = self.now if isinstance(known, set) and known >= dags else self.before.all_known
        swept = self.now if self.is_sweep and _SWEEPS not in self.missed else self.before.swept
        if self.missed & _READ_ON:
            return replace(self.before, swept=swept, all_known=all_known)
        return Progress(dags, self.now, swept, all_known)

    def _begin(self) -> datetime:
        until = self.before.until if self.before.dags == frozenset(self.dags) else None
        return max(self.since, self.now - LOOK_BACK, *([until - OVERLAP] if until else []))

    def _once(self, name: str, ask: Callable[[], _Answer]) -> _Answer:
        if name not in self._known:
            try:
                self._known[name] = ask()
            except AirflowApiError as error:
                self._known[name] = error
        answer = self._known[name]
        if isinstance(answer, AirflowApiError):
            raise answer
        return cast("_Answer", answer)
