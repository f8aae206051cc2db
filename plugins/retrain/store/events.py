"""The events of the ledger, one class per form of document. Times are ISO 8601 in UTC, to the millisecond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from retrain.errors import RecordError
from retrain.run.stage_run import StageRun

# Kinds of events: the folders that they are in.
COUNTS = "counts"
MIRRORED = "mirrored"
STAGES = "stages"
TAGS = "tags"
TAGS_BEFORE = "tags_before"
LABELS = "labels"
PINNED = "pinned"
PRUNED = "pruned"
UNREPEATABLE = "unrepeatable"


@dataclass(frozen=True)
class Event:
    """An event that happened `at` a time."""

    at: str

    def to_dict(self) -> dict[str, Any]:
        """The document, as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class CountsEvent(Event):
    """From now on this run is the one of its day that counts. `mode`: how its DAG run was started."""

    run_key: str
    release: str
    dag_run: str
    mode: str


@dataclass(frozen=True)
class MirroredEvent(Event):
    """MLflow holds a run under these ids; `model_version` is None for a run without a model."""

    run_id: str
    experiment_id: str
    model_version: str | None


@dataclass(frozen=True)
class StagesEvent(Event):
    """An attempt of `reproduce` ended with these stages, in the environment with this identity."""

    dag_run: str
    environment: str
    stages: tuple[StageRun, ...]


@dataclass(frozen=True)
class TagEvent(Event):
    """A release's tag was seen for the first time, at this commit."""

    commit: str


@dataclass(frozen=True)
class LabelEvent(Event):
    """A commit without a tag was released under this label for the first time."""

    commit: str


@dataclass(frozen=True)
class TagsNotedEvent(Event):
    """The tags of all releases that were pinned or recorded before the ledger kept tags have their TagEvent."""


@dataclass(frozen=True)
class PinnedEvent(Event):
    """The pin moved to a release, from the tag `before` (None: nothing was pinned).

    `by`: the user who moved it. `why`: release or rollback.
    """

    tag: str
    commit: str
    before: str | None
    by: str
    why: str


@dataclass(frozen=True)
class RemovedEvent(Event):
    """A prune that keeps `keep_days` days removed objects of a run."""

    keep_days: int


@dataclass(frozen=True)
class StoredEvent(Event):
    """The objects of a run that had been pruned are on the remote again."""


@dataclass(frozen=True)
class UnrepeatableEvent(Event):
    """A stage gave other outputs than the run's record has, from the same inputs, in this DAG run."""

    dag_run: str
    stage: str


_AnyEvent = TypeVar("_AnyEvent", bound=Event)


def read(form: type[_AnyEvent], body: Mapping[str, Any], name: str) -> _AnyEvent:
    """An event with plain values, as `to_dict` made it. Fields that this version does not know are left out.

    The time may be missing, because nothing depends on it; it is empty then.

    Raises:
        RecordError: another field is missing; `name` says of which event.
    """
    found = {"at": "", **body}
    try:
        return form(**{field.name: found[field.name] for field in fields(form)})
    except KeyError as error:
        raise RecordError(
            f"The event {name} has no {error}. Another program wrote it: check who may write to the ledger."
        ) from error
