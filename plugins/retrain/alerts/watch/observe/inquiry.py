"""The context of one look's questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from retrain.airflow.api import AirflowApi
from retrain.alerts.facts import Facts, no_facts
from retrain.alerts.incident import Incident
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe.pins import Pins

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOOK_BACK = timedelta(days=2)  # how far back the ends of runs and backfills are news


class AskedServer(StrEnum):
    """A server that questions ask."""

    S3 = "S3"
    AIRFLOW = "Airflow"


@dataclass
class Answered:
    """Answers that cannot change any more, so that no later look asks for them. Kept in memory; a restart asks again."""

    landed: set[tuple[str, str]] = field(default_factory=set)  # pipeline, partition: its data is there
    recorded: set[tuple[str, str]] = field(default_factory=set)  # pipeline, partition: its run is in the ledger
    failed_runs: set[tuple[str, str]] = field(default_factory=set)  # run id, end: its failures have been read


@dataclass(frozen=True)
class Inquiry:
    """The servers and the memory that the questions of one look use.

    `incidents` are all that the watch knows, also those that have ended. `since` is when the watch first started (UTC): earlier
    deadlines do not count. `unanswered` holds the servers that gave no answer in this look, with the reason.
    """

    client: S3Client
    airflow: AirflowApi
    since: datetime
    incidents: Sequence[Incident]
    pins: Pins
    answered: Answered
    unanswered: dict[AskedServer, str]


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
