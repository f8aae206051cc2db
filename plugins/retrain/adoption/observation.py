"""An observation about a repository: its effect on a run, its place, and the key or edit that fixes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from retrain.alerts.redaction import redact

_LONGEST = 700  # characters of one sentence


class Effect(StrEnum):
    """The effect on a run. Only STOPS keeps one from starting or ending."""

    STOPS = "stops"
    SURPRISES = "surprises"
    NOTED = "noted"


@dataclass(frozen=True)
class Observation:
    """One thing that was seen in a repository.

    `topic` is the question that it answers, such as `environment`. `where` is a file, a stage or a key. `fix` is the edit or the
    key of the pipeline's file that changes it; empty if there is nothing to do.
    """

    effect: Effect
    topic: str
    where: str
    what: str
    fix: str = ""

    @property
    def line(self) -> str:
        """The observation in one line."""
        fixed = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.effect:<10} {self.topic:<12} {self.where}: {self.what}{fixed}"


def stops(topic: str, where: str, what: str, fix: str) -> Observation:
    """A run would not start, or would fail."""
    return Observation(Effect.STOPS, topic, where, what, fix)


def surprises(topic: str, where: str, what: str, fix: str = "") -> Observation:
    """A run would start, and do something that the team may not expect."""
    return Observation(Effect.SURPRISES, topic, where, what, fix)


def noted(topic: str, where: str, what: str, fix: str = "") -> Observation:
    """A fact that is fine to know."""
    return Observation(Effect.NOTED, topic, where, what, fix)


def in_order(observations: Iterable[Observation]) -> list[Observation]:
    """Without duplicates and credentials, each in one line; those that stop a run come first."""
    rank = list(Effect)
    cleaned = (
        replace(each, where=_one_line(each.where), what=_one_line(each.what), fix=_one_line(each.fix))
        for each in dict.fromkeys(observations)
    )
    return sorted(dict.fromkeys(cleaned), key=lambda each: rank.index(each.effect))


def _one_line(text: str) -> str:
    # A repository may have terminal control characters in its names.
    plain = redact(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def counted(count: int, name: str) -> str:
    """A number of things: `1 stage`, `2 stages`."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def listed(names: Iterable[str], most: int = 4) -> str:
    """The first of these names, and how many there are more."""
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return f"{', '.join(every[:most])}{more}"
