"""A signal: one thing that happened, as whoever saw it wrote it down. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from retrain.alerts.facts import FactsJson, mapping, no_facts
from retrain.alerts.kinds import Kind
from retrain.errors import SignalError

SCHEMA_VERSION = 1


class Step(StrEnum):
    """What a signal does to the incident of its key."""

    TROUBLE = "trouble"  # opens it, or adds a line to its thread
    PROGRESS = "progress"  # changes what it says, without a line in its thread
    GOOD = "good"  # what had failed is well again
    NOTE = "note"  # no incident: a line of the daily digest


def end_of_task(pipeline: str, dag_run: str, task: str, tries: int, step: Step) -> str:
    """The id of a task's end, whoever tells it: the task itself, or the watch that has found it in Airflow."""
    return f"{pipeline}/{dag_run}/{task}/{tries}/{step}"


@dataclass(frozen=True)
class Key:
    """What makes two troubles the same problem: one message a key."""

    pipeline: str
    kind: Kind
    subject: str


@dataclass(frozen=True)
class Signal:
    """One thing that happened.

    `id` names the happening: the second signal of an id changes nothing. `at` is UTC, ISO 8601. `subject` is what is broken
    (a task, a release, the data; empty when there is only one). A task's own signals carry `task`, and a good end of that task
    for the same partition or a newer one ends the trouble. `backfill` marks what a backfill's run met. `facts` is what the
    message says, JSON, by kind. `pictures` are (file name in the outbox, what it shows).
    """

    id: str
    at: str
    step: Step
    pipeline: str
    kind: Kind | None
    subject: str = ""
    partition: str | None = None
    task: str | None = None
    backfill: bool = False
    facts: FactsJson = field(default_factory=no_facts)
    pictures: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> Key:
        """SignalError for a task's good end, which belongs to every incident of that task."""
        if self.kind is None:
            raise SignalError(f"The signal {self.id} is of no kind: it is the good end of {self.task}, and has no key.")
        return Key(self.pipeline, self.kind, self.subject)

    def to_json(self) -> str:
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, file: str) -> Signal:
        """Read `file`; SignalError when it is not one of ours, or of another deployment's version."""
        try:
            document = json.loads(text)
            version = document.pop("schema_version")
            if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
                raise SignalError(
                    f"{file} has schema_version {version!r}, this deployment reads 1 to {SCHEMA_VERSION}. "
                    "Restart the older side."
                )
            document["step"] = Step(document["step"])
            document["kind"] = Kind(document["kind"]) if document["kind"] is not None else None
            document["facts"] = FactsJson(mapping(document.get("facts", no_facts())))
            document["pictures"] = tuple((name, shows) for name, shows in document["pictures"])
            return cls(**document)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SignalError(f"{file} is no signal ({error!r}). It is kept aside; somebody else wrote it.") from error
