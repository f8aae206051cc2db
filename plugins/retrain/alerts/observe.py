"""What nobody tells: late data, missed deadlines, a dead Airflow, a failure whose callback was killed, how a backfill goes.

The watch looks from outside Airflow, at the ledger, the raw bucket and Airflow's API, and writes down signals like any task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from retrain import partition as partitions
from retrain import s3
from retrain.airflow_api import AirflowApi
from retrain.alerts import backfills, deadlines
from retrain.alerts.diagnosis import UNHEARD, diagnose
from retrain.alerts.incident import Incident, Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step, end_of_task
from retrain.deployment import Deployment, Schedule
from retrain.errors import AirflowApiError, PartitionError, RetrainError
from retrain.ledger import Ledger
from retrain.run_record import live

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from retrain.release import Pin

log = logging.getLogger(__name__)

AIRFLOW = Key("airflow", Kind.PIPELINE_SILENT, "airflow")  # what concerns all pipelines, in the place of one's name
UNWELL_FOR = timedelta(seconds=45)  # a restart takes less, and two minutes are promised
_CALLBACK_TAKES = timedelta(minutes=1)
_LOOK_BACK = timedelta(days=2)
_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


@dataclass
class Observer:
    """Looks around. Between two looks it remembers only what saves a question.

    `since` is when the watch first started: nothing is owed from before. After a look, `problems` says which questions got no answer.
    """

    deployments: Sequence[Deployment]
    client: S3Client
    airflow: AirflowApi
    since: datetime
    problems: list[str] = field(default_factory=list)
    _no_answer: str = ""
    _unwell_since: datetime | None = None
    _recorded: set[tuple[str, str]] = field(default_factory=set)
    _landed: set[tuple[str, str]] = field(default_factory=set)
    _heard: set[tuple[str, str]] = field(default_factory=set)
    _pins: dict[str, Pin | None] = field(default_factory=dict)

    def look(self, now: datetime, incidents: Sequence[Incident]) -> list[Signal]:
        """What is to be told at `now` (UTC): also what was told already, the same id each time.

        `incidents` are all that are known, those that have ended too.
        """
        open_ones = [incident for incident in incidents if incident.open]
        found = list(self._health(now, open_ones))
        self.problems = [self._no_answer] if self._no_answer else []
        for deployment in self.deployments:
            questions: tuple[Callable[[], Iterator[Signal]], ...] = (
                partial(self._data, deployment, now, incidents),
                partial(self._records, deployment, now, incidents),
            )
            # An Airflow that hangs takes its full time to refuse each question: a look would last minutes.
            if not self._no_answer:
                questions += (
                    partial(self._ends, deployment, now, open_ones),
                    partial(self._backfills, deployment, now, incidents),
                    partial(self._pin, deployment, now),
                )
            for question in questions:
                try:
                    found += question()
                except RetrainError as error:
                    self.problems.append(f"{deployment.pipeline}: {error}")
        return found

    def situation(self, deployment: Deployment, now: datetime) -> Situation:
        """What consumers are on and which day was the last good one, from the ledger; StoreError when it cannot be read."""
        ledger = Ledger(self.client, deployment.ledger)
        record = next(iter(reversed(live(ledger.newest_records(deployment.pipeline)))), None)
        promotion = ledger.newest_daily_event(deployment.pipeline, "promotions")
        return Situation(
            as_of=now.isoformat(timespec="seconds"),
            champion=str(promotion[1]["to"]) if promotion else None,
            champion_partition=promotion[0][:10] if promotion else None,
            last_good=record.partition if record else None,
            last_good_at=record.recorded_at if record else None,
            release=record.release if record else None,
        )

    def _health(self, now: datetime, incidents: Sequence[Incident]) -> Iterator[Signal]:
        self._no_answer = ""
        try:
            health = self.airflow.health()
            unwell = [part for part in _PARTS if health.get(part) and health[part]["status"] not in ("healthy", None)]
            said = {part: _said(health.get(part) or {}) for part in _PARTS}
        except AirflowApiError as error:
            self._no_answer = str(error)
            unwell, said = ["api-server"], {"api-server": str(error)}
        if not unwell:
            self._unwell_since = None
            if any(incident.key == AIRFLOW for incident in incidents):
                yield _signal(f"airflow/well/{now.isoformat()}", now, Step.GOOD, AIRFLOW)
            return
        self._unwell_since = self._unwell_since or now
        if now - self._unwell_since >= UNWELL_FOR:
            facts = {
                "what": f"Airflow's {' and '.join(unwell)} has not answered or not beaten since {self._unwell_since:%H:%M:%S} UTC. "
                "No run starts or goes on while this lasts.",
                "health": said,
                "next": f"Restart {' and '.join(unwell)}, then look at the runs that were going on.",
            }
            yield _signal(f"airflow/unwell/{self._unwell_since.isoformat()}", now, Step.TROUBLE, AIRFLOW, facts=facts)

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
                    yield _signal(f"{deployment.pipeline}/landed/{day}", now, Step.GOOD, key, day)
            elif day in owed:
                facts = {
                    "expected_at": owed[day].isoformat(),
                    "marker": marker,
                    "next": "Ask the data's owner. The run goes on by itself when the marker is there.",
                }
                yield _signal(f"{deployment.pipeline}/late/{day}", now, Step.TROUBLE, key, day, facts)

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
                    yield _signal(f"{deployment.pipeline}/recorded/{day}", now, Step.GOOD, key, day)
            elif day in owed and day not in explained and not airflow_is_told:
                facts = {
                    "expected_at": owed[day].isoformat(),
                    "what": f"No run of {day} is in the ledger, and nothing has failed.",
                    "health": self._why_silent(deployment),
                    "next": "Open the DAG: is it paused, is a run queued, does a task hang?",
                }
                yield _signal(f"{deployment.pipeline}/silent/{day}", now, Step.TROUBLE, key, day, facts)

    def _why_silent(self, deployment: Deployment) -> dict[str, str]:
        if self._no_answer:
            return {"Airflow": self._no_answer}
        try:
            paused = self.airflow.is_paused(deployment.pipeline)
            running = self.airflow.runs(deployment.pipeline, limit=20, state="running")
        except AirflowApiError as error:
            return {"Airflow": str(error)}
        return {
            "DAG": "paused" if paused else "active",
            "running": ", ".join(r["dag_run_id"] for r in running) or "no run",
        }

    def _ends(self, deployment: Deployment, now: datetime, incidents: Sequence[Incident]) -> Iterator[Signal]:
        """Ends of runs that no callback told: SIGKILL can skip it."""
        pipeline, begin = deployment.pipeline, max(self.since, now - _LOOK_BACK)
        for run in self.airflow.runs(pipeline, state="failed", end_date_gte=begin.isoformat()):
            seen = (run["dag_run_id"], run["end_date"])
            if seen in self._heard or now - datetime.fromisoformat(run["end_date"]) < _CALLBACK_TAKES:
                continue
            for task in self.airflow.tasks(pipeline, run["dag_run_id"], "failed"):
                yield self._unheard(pipeline, run, task, _partition(run, deployment.schedule, now))
            self._heard.add(seen)
        failing = {i.task for i in incidents if i.key.pipeline == pipeline and i.task and i.missing}
        for run in self.airflow.runs(pipeline, state="success", end_date_gte=begin.isoformat()) if failing else ():
            day = _partition(run, deployment.schedule, now)
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

    def _unheard(self, pipeline: str, run: Mapping[str, Any], task: Mapping[str, Any], day: str | None) -> Signal:
        name, tries, run_id = task["task_id"], task["try_number"], run["dag_run_id"]
        found = diagnose(UNHEARD, name)
        facts = {
            "cause": found.cause,
            "evidence": found.evidence,
            "next": found.next,
            "task": name,
            "tries": tries,
            "dag_run": run_id,
            "log_url": f"{self.airflow.url}/dags/{pipeline}/runs/{run_id}/tasks/{name}?try_number={tries}",
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
            if told is False or (told is None and datetime.fromisoformat(backfill["updated_at"]) < self.since):
                continue
            window = {"logical_date_gte": backfill["from_date"], "logical_date_lte": backfill["to_date"]}
            runs = self.airflow.runs(pipeline, run_type="backfill", **window)
            facts = backfills.facts(backfill, runs, deployment.schedule.timezone)
            key = Key(pipeline, Kind.BACKFILL, subject)
            counted = f"{pipeline}/backfill/{subject}/{sorted(facts.items(), key=str)}"
            yield _signal(counted, now, Step.PROGRESS, key, facts=facts)
            if backfill["completed_at"]:
                yield _signal(f"{pipeline}/backfill/{subject}/finished", now, Step.GOOD, key, facts=facts)

    def _pin(self, deployment: Deployment, now: datetime) -> Iterator[Signal]:
        """A release or a rollback, however it was made."""
        pin = self.airflow.pin(deployment.pipeline)
        before = self._pins.get(deployment.pipeline)
        first = deployment.pipeline not in self._pins
        self._pins[deployment.pipeline] = pin
        if first or pin is None or pin == before:
            return
        key = Key(deployment.pipeline, Kind.RELEASED, pin.live.tag)
        facts = {"tag": pin.live.tag, "commit": pin.live.commit, "from": before.live.tag if before else None}
        yield _signal(
            f"{deployment.pipeline}/released/{pin.live.tag}/{now.isoformat()}", now, Step.NOTE, key, facts=facts
        )


def _signal(
    name: str,
    now: datetime,
    step: Step,
    key: Key,
    partition: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Signal:
    return Signal(
        id=name,
        at=now.isoformat(timespec="milliseconds"),
        step=step,
        pipeline=key.pipeline,
        kind=key.kind,
        subject=key.subject,
        partition=partition,
        facts=facts or {},
    )


def _said(part: Mapping[str, Any]) -> str:
    beats = [f"last beat {value}" for name, value in part.items() if name.startswith("latest_") and value]
    return ", ".join([str(part.get("status")), *beats])


def _partition(run: Mapping[str, Any], schedule: Schedule, now: datetime) -> str | None:
    """The day of a run as Airflow's API describes it; None for a run that was refused for not having one."""
    param, start = (run.get("conf") or {}).get("partition"), run.get("data_interval_start")
    backfill = run["run_type"] == "backfill"
    try:
        return partitions.of_run(
            param, datetime.fromisoformat(start) if start else None, schedule, now=now, backfill=backfill
        )
    except PartitionError:
        return None
