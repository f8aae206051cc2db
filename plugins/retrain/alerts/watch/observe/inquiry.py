"""The context of one look's questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from retrain.airflow.api import AirflowApi
from retrain.alerts.facts import Facts, no_facts
from retrain.alerts.incident import Incident
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe.asking import Asking
from retrain.alerts.watch.observe.fleet_answers import FleetAnswers
from retrain.alerts.watch.observe.known_days import KnownDays
from retrain.alerts.watch.observe.pins import Pins

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class AskedServer(StrEnum):
    """A server that questions ask."""

    S3 = "S3"
    AIRFLOW = "Airflow"


@dataclass
class Answered:
    """Answers that later looks do not ask for again, and when S3 was asked for each missing day.

    `failed_runs` is kept in memory: a restart asks again.
    """

    days: KnownDays = field(default_factory=KnownDays)
    failed_runs: set[tuple[str, str, str]] = field(default_factory=set)  # DAG, run id, end: its failures have been read
    landed: Asking = field(default_factory=Asking)
    records: Asking = field(default_factory=Asking)


@dataclass(frozen=True)
class Inquiry:
    """The servers and the memory that the questions of one look use.

    `incidents` are all that the watch knows, also those that have ended. `since` is when the watch first started (UTC): earlier
    deadlines do not count. `unanswered` holds the servers that gave no answer in this look, with the reason. `fleet` holds what
    Airflow says about all pipelines together.
    """

    client: S3Client
    airflow: AirflowApi
    since: datetime
    incidents: Sequence[Incident]
    pins: Pins
    answered: Answered
    unanswered: dict[AskedServer, str]
    fleet: FleetAnswers


def observed(
    name: str,
    now: datetime,
    step: Step,
    key: Key,
    partition: str | None = None,
    facts: Facts | None = None,
) -> Signal:
    """A signal of what the watch itself has seen at `now`; `name` is its id."""
    return Signal(
        id=name,
        at=now.isoformat(timespec="milliseconds"),
        step=step,
        pipeline=key.pipeline,
        kind=key.kind,
        subject=key.subject,
        partition=partition,
        facts=facts.written() if facts else no_facts(),
    )
