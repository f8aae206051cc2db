"""What nobody tells: late data, missed deadlines, a dead Airflow, a failure whose callback was killed, how a backfill goes.

The watch looks from outside Airflow, at the ledger, the raw bucket and Airflow's API, and writes down signals like any task.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from retrain.airflow.api import AirflowApi
from retrain.alerts import backfills
from retrain.alerts.diagnosis import UNHEARD, diagnose
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step, end_of_task
from retrain.alerts.watch.observe import deadlines
from retrain.alerts.watch.observe.airflow_health import AIRFLOW, AirflowHealth, observed
from retrain.alerts.watch.observe.pins import Pins
from retrain.deployment.pipeline_file import LANDINGS, Deployment
from retrain.errors import (
    AirflowApiError,
    AirflowUnreachableError,
    RetrainError,
    StoreUnreachableError,
)
from retrain.run import partition as partitions
from retrain.store import s3
from retrain.store.ledger import Ledger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

Question = Callable[[], Iterator[Signal]]

_CALLBACK_TAKES = timedelta(minutes=1)
_LOOK_BACK = timedelta(days=2)
_S3_SECONDS = 30.0  # of one look, for all pipelines together
_S3, _AIRFLOW = "S3", "Airflow"


@dataclass
class Observer:
    """Looks around. Between two looks it remembers only what saves a question, and the pins.

    `since` is when the watch first started: nothing is owed from before. After a look, `problems` says of each pipeline which
    questions got no answer and why.

    A pipeline whose questions fail costs the others nothing: an S3 or an Airflow that does not answer is not asked again in the
    same look, and in the next one the pipelines that were answered, or not asked, come first.
    """

    deployments: Sequence[Deployment]
    client: S3Client
    airflow: AirflowApi
    since: datetime
    pins: Pins = field(default_factory=Pins)
    problems: dict[str, str] = field(default_factory=dict)
    health: AirflowHealth = field(default_factory=AirflowHealth)
    _no_answer: dict[str, str] = field(default_factory=dict)  # in this look: of "S3" or "Airflow", what was said of it
    _looks: int = 0
    _asked: dict[str, int] = field(default_factory=dict)  # the look in which S3 was last asked about a pipeline
    _said: dict[str, list[str]] = field(default_factory=dict)  # in this look: what each pipeline's questions met
    _failing: set[str] = field(default_factory=set)  # the pipelines of which a question failed when it was last asked
    _began: float = 0.0
    _recorded: set[tuple[str, str]] = field(default_factory=set)
    _landed: set[tuple[str, str]] = field(default_factory=set)
    _heard: set[tuple[str, str]] = field(default_factory=set)

    def observe(self, now: datetime, incidents: Sequence[Incident]) -> list[Signal]:
        """What is to be told at `now` (UTC): also what was told already, the same id each time.

        `incidents` are all that are known, those that have ended too.
        """
        open_ones = [incident for incident in incidents if incident.open]
        found = list(self.health.look_at(self.airflow, now, open_ones))
        self._no_answer = {_AIRFLOW: self.airflow_problem} if self.airflow_problem else {}
        self._said = {}
        self._looks += 1
        self._began = time.monotonic()
        turns = sorted(self.deployments, key=self._turn)
        for deployment in turns:
            self._ask(_S3, deployment, partial(self._data, deployment, now, incidents), found)
            self._ask(_S3, deployment, partial(self._records, deployment, now, incidents), found)
        for deployment in turns:
            self._ask(_AIRFLOW, deployment, partial(self._ends, deployment, now, open_ones), found)
            self._ask(_AIRFLOW, deployment, partial(self._backfills, deployment, now, incidents), found)
            self._ask(_AIRFLOW, deployment, partial(self._pin, deployment, now), found)
        self._failing = {pipeline for pipeline in self._failing if pipeline in self._said}
        self.problems = {pipeline: " ".join(dict.fromkeys(said)) for pipeline, said in self._said.items()}
        return found

    def _ask(self, server: str, deployment: Deployment, question: Question, found: list[Signal]) -> None:
        """Add the question's answer to `found`; what keeps it from being answered is the pipeline's problem alone."""
        pipeline = deployment.pipeline
        if server is _S3 and time.monotonic() - self._began > _S3_SECONDS:
            self._no_answer.setdefault(_S3, f"S3 took more than {_S3_SECONDS:.0f} s of one look.")
        if server in self._no_answer:
            # What Airflow itself does not answer is Airflow's incident, and no pipeline's.
            if server is _S3 or not self.airflow_problem:
                self._said.setdefault(pipeline, []).append(self._no_answer[server])
            return
        if server is _S3:
            self._asked[pipeline] = self._looks
        try:
            found += question()
        except Exception as error:
            said = str(error) if isinstance(error, RetrainError) else f"{type(error).__name__}: {error}"
            if isinstance(error, StoreUnreachableError | AirflowUnreachableError):
                self._no_answer[server] = said
            if pipeline not in self._failing:  # a fault that lasts is one line of the log
                log.warning("%s: %s", pipeline, said, exc_info=error)
            self._failing.add(pipeline)
            self._said.setdefault(pipeline, []).append(said)

    @property
    def airflow_problem(self) -> str:
        """Why Airflow did not say how it is, in the newest look; empty when it did."""
        return self.health.problem

    def _turn(self, deployment: Deployment) -> int:
        """The order of the pipelines: asked longest ago first; one whose questions failed comes after those of the same look."""
        pipeline = deployment.pipeline
        return self._asked.get(pipeline, 0) + (pipeline in self._failing)

    def _data(self, deployment: Deployment, now: datetime, incidents: Sequence[Incident]) -> Iterator[Signal]:
        """Late partitions, and those that came after all."""
        if deployment.expected is None:
            return
        key = Key(deployment.pipeline, Kind.DATA_LATE, "")
        waiting = {day for incident in incidents if incident.key == key for day in incident.missing}
        owed = dict(deadlines.owed(deployment, deployment.expected.landed, self.since, now))
        for day in sorted({*owed, *waiting}):
            if (deployment.pipeline, day) in self._landed and day not in waiting:
                continue
            marker = f"{deployment.raw.url}/dt={day}/{deployment.raw.marker}"
            if s3.get(self.client, marker) is not None:
                self._landed.add((deployment.pipeline, day))
                if day in waiting:
                    yield observed(f"{deployment.pipeline}/landed/{day}", now, Step.GOOD, key, day)
            elif day in owed:
                facts = {
                    "expected_at": owed[day].isoformat(),
                    "marker": marker,
                    "next": "Ask the data's owner. The run goes on by itself when the marker is there.",
                }
                yield observed(f"{deployment.pipeline}/late/{day}", now, Step.TROUBLE, key, day, facts)

    def _records(self, deployment: Deployment, now: datetime, incidents: Sequence[Incident]) -> Iterator[Signal]:
        """Days without a run in the ledger after their deadline, unless an incident has said why.

        A newer day's good run ends an incident and leaves the older day without a run: that was told, and is told no second time.
        """
        if deployment.expected is None:
            return
        key = Key(deployment.pipeline, Kind.PIPELINE_SILENT, "")
        silent = {day for incident in incidents if incident.key == key for day in incident.missing}
        explained = {
            day
            for incident in incidents
            if incident.key.pipeline == deployment.pipeline and incident.key != key
            for day in incident.missing
        }
        airflow_is_told = any(incident.key == AIRFLOW and incident.open for incident in incidents)
        owed = dict(deadlines.owed(deployment, deployment.expected.recorded, self.since, now))
        for day in sorted({*owed, *silent}):
            if (deployment.pipeline, day) in self._recorded and day not in silent:
                continue
            if Ledger(self.client, deployment.ledger).is_recorded(deployment.pipeline, day):
                self._recorded.add((deployment.pipeline, day))
                if day in silent:
                    yield observed(f"{deployment.pipeline}/recorded/{day}", now, Step.GOOD, key, day)
            elif day in owed and day not in explained and not airflow_is_told:
                facts = {
                    "expected_at": owed[day].isoformat(),
                    "what": f"No run of {day} is in the ledger, and nothing has failed.",
                    "health": self._why_silent(deployment),
                    "next": "Open the DAG: is it paused, is a run queued, does a task hang?",
                }
                yield observed(f"{deployment.pipeline}/silent/{day}", now, Step.TROUBLE, key, day, facts)

    def _why_silent(self, deployment: Deployment) -> dict[str, str]:
        if _AIRFLOW in self._no_answer:
            return {"Airflow": self._no_answer[_AIRFLOW]}
        try:
            paused = self.airflow.is_paused(deployment.pipeline)
            running = self.airflow.runs(deployment.pipeline, limit=20, state="running")
        except AirflowApiError as error:
            if isinstance(error, AirflowUnreachableError):
                self._no_answer[_AIRFLOW] = str(error)
            return {"Airflow": str(error)}
        return {
            "DAG": "paused" if paused else "active",
            "running": ", ".join(r["dag_run_id"] for r in running) or "no run",
        }

    def _ends(self, deployment: Deployment, now: datetime, incidents: Sequence[Incident]) -> Iterator[Signal]:
        """Failed runs whose failure callback never ran, as after SIGKILL; of the DAG that reads landings too."""
        pipeline, begin = deployment.pipeline, max(self.since, now - _LOOK_BACK)
        yield from self._failed_runs(deployment, pipeline, begin, now)
        failing = {i.task for i in incidents if i.key.pipeline == pipeline and i.task and i.missing}
        for run in self.airflow.runs(pipeline, state="success", end_date_gte=begin.isoformat()) if failing else ():
            day = partitions.of_api(run, deployment.schedule, now=now)
            for name in sorted(failing):
                yield Signal(
                    id=f"{pipeline}/{run['dag_run_id']}/{name}/ended {run['end_date']}",
                    at=run["end_date"],
                    step=Step.GOOD,
                    pipeline=pipeline,
                    kind=None,
                    partition=day,
                    task=name,
                    backfill=run["run_type"] == "backfill",
                    facts={"dag_run": run["dag_run_id"]},
                )
        if deployment.trigger == "event":
            yield from self._failed_runs(deployment, f"{pipeline}{LANDINGS}", begin, now)

    def _failed_runs(self, deployment: Deployment, dag: str, begin: datetime, now: datetime) -> Iterator[Signal]:
        for run in self.airflow.runs(dag, state="failed", end_date_gte=begin.isoformat()):
            seen = (run["dag_run_id"], run["end_date"])
            if seen in self._heard or now - datetime.fromisoformat(run["end_date"]) < _CALLBACK_TAKES:
                continue
            for task in self.airflow.tasks(dag, run["dag_run_id"], "failed"):
                yield self._unheard(
                    deployment.pipeline, dag, run, task, partitions.of_api(run, deployment.schedule, now=now)
                )
            self._heard.add(seen)

    def _unheard(
        self, pipeline: str, dag: str, run: Mapping[str, Any], task: Mapping[str, Any], day: str | None
    ) -> Signal:
        name, tries, run_id = task["task_id"], task["try_number"], run["dag_run_id"]
        found = diagnose(UNHEARD, name)
        facts = {
            "cause": found.cause,
            "evidence": found.evidence,
            "next": found.next,
            "task": name,
            "tries": tries,
            "dag_run": run_id,
            "log_url": f"{self.airflow.url}/dags/{dag}/runs/{run_id}/tasks/{name}?try_number={tries}",
        }
        return Signal(
            id=end_of_task(pipeline, run_id, name, tries, Step.TROUBLE),
            at=task["end_date"] or run["end_date"],
            step=Step.TROUBLE,
            pipeline=pipeline,
            kind=found.kind,
            subject=name,
            partition=day,
            task=name,
            backfill=run["run_type"] == "backfill",
            facts=facts,
        )

    def _backfills(self, deployment: Deployment, now: datetime, incidents: Sequence[Incident]) -> Iterator[Signal]:
        pipeline = deployment.pipeline
        known = {i.key.subject: i.open for i in incidents if i.key.kind is Kind.BACKFILL and i.key.pipeline == pipeline}
        for backfill in reversed(self.airflow.backfills(pipeline)):
            subject = str(backfill["id"])
            told = known.get(subject)
            if told is False or (told is None and self._is_old(backfill, now)):
                continue
            window = {"logical_date_gte": backfill["from_date"], "logical_date_lte": backfill["to_date"]}
            runs = self.airflow.runs(pipeline, run_type="backfill", **window)
            facts = backfills.facts(backfill, runs, deployment.schedule.timezone)
            key = Key(pipeline, Kind.BACKFILL, subject)
            counted = f"{pipeline}/backfill/{subject}/{sorted(facts.items(), key=str)}"
            yield observed(counted, now, Step.PROGRESS, key, facts=facts)
            if backfill["completed_at"]:
                yield observed(f"{pipeline}/backfill/{subject}/finished", now, Step.GOOD, key, facts=facts)

    def _is_old(self, backfill: Mapping[str, Any], now: datetime) -> bool:
        """Whether a backfill that no incident is about is no news: it ended long ago, and what told of it may be forgotten."""
        ended = backfill["completed_at"]
        long_ago = ended is not None and now - datetime.fromisoformat(ended) > _LOOK_BACK
        return long_ago or datetime.fromisoformat(backfill["updated_at"]) < self.since

    def _pin(self, deployment: Deployment, now: datetime) -> Iterator[Signal]:
        """A release or a rollback, however it was made."""
        pin = self.airflow.pin(deployment.pipeline)
        news = self.pins.news(deployment.pipeline, pin.live if pin else None)
        if news is None:
            return
        live, before = news
        key = Key(deployment.pipeline, Kind.RELEASED, live.tag)
        facts = {"tag": live.tag, "commit": live.commit, "from": before.tag if before else None}
        yield observed(f"{deployment.pipeline}/released/{live.tag}/{now.isoformat()}", now, Step.NOTE, key, facts=facts)
