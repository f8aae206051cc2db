"""A policy's verdict on a judged day."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """State of a pipeline on a day: nothing unusual, something unusual, or an open episode, which people are told of."""

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
        """The next higher severity; HIGH for HIGH."""
        return list(Severity)[min(self.rank + 1, 2)]


class Confidence(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The fields that the verdicts of all policies share. Its sentences go into messages as they are.

    `severity` is None on a calm day. `since` is the partition that opened the open episode, None while none is open, and
    `days_open` counts calendar days from it. `opened` and `cleared` are True on the day that opened or ended an episode.
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
