"""The observer asks each question about each pipeline, from outside Airflow. Only it sees troubles that no task can report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from retrain.airflow.api import AirflowApi
from retrain.alerts.incident import Incident
from retrain.alerts.signal import Signal
from retrain.alerts.watch.observe.airflow_health import AirflowHealth
from retrain.alerts.watch.observe.backfill_progress import backfill_progress
from retrain.alerts.watch.observe.fleet_answers import FleetAnswers, Progress
from retrain.alerts.watch.observe.inquiry import Answered, AskedServer, Inquiry
from retrain.alerts.watch.observe.known_dag import known_dag
from retrain.alerts.watch.observe.late_data import late_data
from retrain.alerts.watch.observe.live_release import live_release
from retrain.alerts.watch.observe.missing_records import missing_records
from retrain.alerts.watch.observe.pins import Pins
from retrain.alerts.watch.observe.unreported_ends import unreported_ends
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import AirflowUnreachableError, RetrainError, StoreUnreachableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

Question = Callable[[Inquiry, Deployment, datetime], Iterator[Signal]]

# In this order: all pipelines' questions to S3, then all pipelines' questions to Airflow.
QUESTIONS: tuple[tuple[AskedServer, tuple[Question, ...]], ...] = (
    (AskedServer.S3, (late_data, missing_records)),
    (AskedServer.AIRFLOW, (unreported_ends, backfill_progress, live_release, known_dag)),
)
_S3_SECONDS = 30.0  # of one look, for all pipelines together


@dataclass
class Observer:
    """Asks all questions in each look. For one thread.

    `since` is when the watch first started (UTC): earlier deadlines do not count. After a look, `problems` says for each pipeline
    which questions got no answer and why.

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
    answered: Answered = field(default_factory=Answered)
    _progress: Progress = field(default_factory=Progress)
    _looks: int = 0  # looks so far
    _asked: dict[str, int] = field(default_factory=dict)  # pipeline: the look in which S3 was last asked about it
    _problems_now: dict[str, list[str]] = field(default_factory=dict)  # `problems` of the look that is going on
    _failing: set[str] = field(default_factory=set)  # pipelines of which a question failed when it was last asked
    _began: float = 0.0

    def observe(self, now: datetime, incidents: Sequence[Incident]) -> list[Signal]:
        """The signals of one look at `now` (UTC). A trouble that lasts gives the same signal in each look, with the same id.

        `incidents` are all that are known, also those that have ended.
        """
        found = list(self.health.ask(self.airflow, now, [incident for incident in incidents if incident.open]))
        unanswered = {AskedServer.AIRFLOW: self.airflow_problem} if self.airflow_problem else {}
        fleet = FleetAnswers(self.airflow, self.deployments, incidents, self.since, now, self._progress)
        inquiry = Inquiry(self.client, self.airflow, self.since, incidents, self.pins, self.answered, unanswered, fleet)
        self._problems_now = {}
        self._looks += 1
        self._began = time.monotonic()
        in_order = sorted(self.deployments, key=self._place)
        for server, questions in QUESTIONS:
            for deployment in in_order:
                for question in questions:
                    self._ask(server, question, inquiry, deployment, now, found)
        self._progress = fleet.progress()
        self._failing = {pipeline for pipeline in self._failing if pipeline in self._problems_now}
        self.problems = {pipeline: " ".join(dict.fromkeys(why)) for pipeline, why in self._problems_now.items()}
        return found

    def note_recorded(self, days: Mapping[str, Collection[str]]) -> None:
        """Take in the days, by pipeline, whose run a task has recorded: S3 is asked for them in the next look."""
        for asking in (self.answered.landed, self.answered.records):
            asking.note(days)

    @property
    def airflow_problem(self) -> str:
        """Why Airflow's health could not be read in the newest look; empty if it could."""
        return self.health.problem

    def _ask(
        self,
        server: AskedServer,
        question: Question,
        inquiry: Inquiry,
        deployment: Deployment,
        now: datetime,
        found: list[Signal],
    ) -> None:
        """Add the answer to `found`. A question that fails is a problem of its pipeline alone."""
        pipeline, unanswered = deployment.pipeline, inquiry.unanswered
        if server is AskedServer.S3 and time.monotonic() - self._began > _S3_SECONDS:
            unanswered.setdefault(AskedServer.S3, f"S3 took more than {_S3_SECONDS:.0f} s of one look.")
        if server in unanswered:
            # An Airflow whose health cannot be read has an incident of its own.
            if server is AskedServer.S3 or not self.airflow_problem:
                self._problems_now.setdefault(pipeline, []).append(unanswered[server])
            inquiry.fleet.missed.add(question.__name__)
            return
        if server is AskedServer.S3:
            self._asked[pipeline] = self._looks
        try:
            # One by one: what was found before a failure counts.
            found.extend(question(inquiry, deployment, now))
        except Exception as error:
            inquiry.fleet.missed.add(question.__name__)
            why = str(error) if isinstance(error, RetrainError) else f"{type(error).__name__}: {error}"
            if isinstance(error, StoreUnreachableError | AirflowUnreachableError):
                unanswered[server] = why
            if pipeline not in self._failing:  # a fault that lasts is one line of the log
                log.warning("%s: %s", pipeline, why, exc_info=error)
            self._failing.add(pipeline)
            self._problems_now.setdefault(pipeline, []).append(why)

    def _place(self, deployment: Deployment) -> int:
        """The pipeline's place in a look: asked longest ago first; one whose questions failed after those of the same look."""
        pipeline = deployment.pipeline
        return self._asked.get(pipeline, 0) + (pipeline in self._failing)
