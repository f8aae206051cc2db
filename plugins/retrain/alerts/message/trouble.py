"""The subject of a message."""

from __future__ import annotations

from dataclasses import dataclass

from retrain.alerts.facts import (
    BackfillFacts,
    Facts,
    FailureFacts,
    JudgedFacts,
    LateFacts,
    RunFacts,
    merged,
    of_kind,
)
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.message.mrkdwn import plain
from retrain.alerts.signal import Key
from retrain.deployment.dag_ids import HOUSEKEEPING
from retrain.errors import Cause
from retrain.results import Checked, Promoted, Removed

# These tasks come after the day's model is stored and recorded.
AFTER_RECORD = {
    Checked.task: "only its drift was not checked",
    Promoted.task: "only its promotion was not decided",
    Removed.task: "only its workspace still takes disk space",
}
# For these kinds the day was recorded: there is nothing to run again.
RECORDED = frozenset({Kind.DRIFT_DETECTED, Kind.PERFORMANCE_DROPPED, Kind.PROMOTION_REFUSED})

_MARKS = {
    Kind.DATA_LATE: "🟠",
    Kind.PROMOTION_REFUSED: "🟡",
    Kind.BACKFILL: "🔄",
    Kind.PROMOTED: "🏆",
    Kind.RELEASED: "🚀",
}
_SEVERITY_MARKS = {"low": "🟡", "medium": "🟠", "high": "🔴"}
_CAUSE_OF_KIND = {
    Kind.DATA_LATE: Cause.DATA,
    Kind.DATA_REJECTED: Cause.DATA,
    Kind.RELEASE_REFUSED: Cause.RELEASE,
}


@dataclass(frozen=True)
class Trouble:
    """The subject of a message. `facts` are of the key's kind; `days` is the number of partitions that are affected."""

    key: Key
    facts: Facts
    task: str | None
    partition: str | None
    days: int = 1

    @property
    def kind(self) -> Kind:
        return self.key.kind

    @property
    def run(self) -> RunFacts:
        """Links and next action; empty for a kind without them."""
        return self.facts if isinstance(self.facts, RunFacts) else RunFacts()

    @property
    def failure(self) -> FailureFacts | None:
        """The failed task's facts, if a task failed: then the message shows cause, evidence and tries."""
        if not isinstance(self.facts, FailureFacts):
            return None
        if isinstance(self.facts, LateFacts) and not self.facts.gave_up:
            return None
        return self.facts

    @property
    def day(self) -> str:
        return plain(self.partition, 20) if self.partition else "a day not named"

    @property
    def task_id(self) -> str:
        named = self.facts.task if isinstance(self.facts, FailureFacts) else None
        return named or self.task or ""

    @property
    def airflow_itself(self) -> bool:
        """True if Airflow as a whole is unhealthy, rather than one day's run missing."""
        return self.kind is Kind.PIPELINE_SILENT and self.partition is None

    @property
    def of_housekeeping(self) -> bool:
        """True if the DAG that cleans the volume has failed, which is about no day and no model."""
        return self.key.pipeline == HOUSEKEEPING

    @property
    def cause(self) -> Cause:
        named = self.facts.cause if isinstance(self.facts, FailureFacts) else None
        if named is not None:
            return named
        return Cause.INFRA if self.airflow_itself else _CAUSE_OF_KIND.get(self.kind, Cause.UNKNOWN)

    @property
    def recorded(self) -> bool:
        """True if the day's run is in the ledger in spite of the trouble."""
        return self.kind in RECORDED or self.task_id in AFTER_RECORD

    @property
    def mark(self) -> str:
        if isinstance(self.facts, BackfillFacts) and self.facts.state == "paused":
            return "⏸️"
        severity = self.facts.severity if isinstance(self.facts, JudgedFacts) else None
        return _SEVERITY_MARKS.get((severity or "").lower()) or _MARKS.get(self.kind, "🔴")


def newest(incident: Incident) -> Trouble:
    """The incident's newest trouble, with what later signals added to its facts."""
    troubles = incident.troubles
    days = sorted(incident.partitions)
    day = days[-1] if days else next((entry.partition for entry in reversed(troubles) if entry.partition), None)
    facts = incident.facts
    if not incident.open and troubles and incident.key.kind is not Kind.BACKFILL:
        facts = merged(facts, troubles[-1].facts)  # the log of what went wrong, not of the good run after it
    return Trouble(incident.key, of_kind(incident.key.kind, facts), incident.task, day, len(days))
