"""A signal: one event, as a task, a command or the watch recorded it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from retrain.alerts.errors import SignalError
from retrain.alerts.facts import FactsJson, mapping, no_facts
from retrain.alerts.kinds import Kind

SCHEMA_VERSION = 1


class Step(StrEnum):
    """The effect of a signal on the incident of its key."""

    TROUBLE = "trouble"  # opens it, or adds a line to its thread
    PROGRESS = "progress"  # changes what it says, without a line in its thread
    GOOD = "good"  # ends it: the task or the check that had failed has succeeded
    NOTE = "note"  # no incident: a line of the daily digest


def end_of_task(pipeline: str, dag_run: str, task: str, tries: int, step: Step) -> str:
    """The id of a task's end: the same whether its callback or the watch reports it."""
    return f"{pipeline}/{dag_run}/{task}/{tries}/{step}"


@dataclass(frozen=True)
class Key:
    """Troubles of the same key are one problem, and have one message."""

    pipeline: str
    kind: Kind
    subject: str


@dataclass(frozen=True)
class Signal:
    """One event.

    `id` identifies the event: a second signal of the same id changes nothing. `at` is UTC, ISO 8601. `subject` is the broken
    part (a task, a release; empty where a kind has only one). The signals of a task carry `task`, and a good end of that task
    for the same partition or a newer one ends the trouble. `backfill` marks the signals of a backfill's runs. `facts` are the
    facts of the kind, in their JSON form. `pictures` are pairs: file name in the outbox, caption.
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
        """The key of its incident.

        Raises:
            SignalError: it is the good end of a task, which belongs to every incident of that task.
        """
        if self.kind is None:
            raise SignalError(f"The signal {self.id} is of no kind: it is the good end of {self.task}, and has no key.")
        return Key(self.pipeline, self.kind, self.subject)

    def to_json(self) -> str:
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, file: str) -> Signal:
        """The signal whose JSON is `text`; `file` is named in errors.

        Raises:
            SignalError: the text is no signal, or one of a newer version.
        """
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
            raise SignalError(f"{file} is no signal ({error!r}). It is put aside; another program wrote it.") from error
