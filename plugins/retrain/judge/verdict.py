"""Trouble over days: a spell opens once, and stays open until enough calm days have passed. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Of a day: nothing to say, something to keep an eye on, or a spell that is open."""

    CALM = "calm"
    WATCH = "watch"
    ALERT = "alert"


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for low, 2 for high."""
        return list(Severity).index(self)

    @property
    def next(self) -> Severity:
        """The severity above; high has none."""
        return list(Severity)[min(self.rank + 1, 2)]


class Confidence(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True)
class Spell:
    """Where a pipeline stands after a day. `since` is the first partition of the open spell, `calm` the calm days in it."""

    partition: str = ""
    since: str | None = None
    calm: int = 0
    opened: bool = False
    cleared: bool = False

    def then(self, partition: str, *, opens: bool, calm: bool, calm_days: int) -> Spell:
        """The next day's: what opens a spell is more than what keeps it open, so that it does not flicker."""
        if self.since is None:
            return Spell(partition, partition if opens else None, opened=opens)
        quiet = self.calm + 1 if calm else 0
        if quiet >= calm_days:
            return Spell(partition, cleared=True)
        return replace(self, partition=partition, calm=quiet, opened=False)

    @property
    def days(self) -> int:
        """Calendar days since it opened, that day included; 0 when none is open."""
        if self.since is None:
            return 0
        return (date.fromisoformat(self.partition) - date.fromisoformat(self.since)).days + 1


@dataclass(frozen=True)
class Verdict:
    """What a policy says of a day, in words that go into a message as they are.

    `severity` is None on a calm day. `since` is the first partition of the open spell, `days_open` counts from it.
    `opened`: this day opened it; `cleared`: this day ended it.
    """

    partition: str
    state: State
    severity: Severity | None
    confidence: Confidence
    confidence_reason: str
    reasons: tuple[str, ...]
    since: str | None
    days_open: int
    opened: bool
    cleared: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: lists for tuples, words for enumerations."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return document
