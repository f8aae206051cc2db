"""What a check found: one line for people, one object for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from retrain.alerts.redaction import redact

_ADVICE = re.compile(r" Clear the task[^.]*\.|, then clear the task(?=\.)")


class Found(StrEnum):
    """The state of one checked thing. Only WRONG makes the doctor fail."""

    OK = "ok"
    WRONG = "WRONG"
    WARNING = "warning"
    UNKNOWN = "cannot check"


@dataclass(frozen=True)
class Finding:
    """One checked thing: its name, its state, what was seen, and how to fix it (empty if there is nothing to do)."""

    thing: str
    found: Found
    seen: str
    fix: str = ""

    @property
    def lines(self) -> list[str]:
        """The finding in one line, and how to fix it in a second."""
        first = f"{self.found:<13}{self.thing}: {self.seen}"
        word = "see" if self.found is Found.UNKNOWN else "fix"
        return [first, f"{'':<13}  {word}: {self.fix}"] if self.fix else [first]


def ok(thing: str, seen: str) -> Finding:
    """The thing is as it should be."""
    return Finding(thing, Found.OK, seen)


def wrong(thing: str, seen: str, fix: str) -> Finding:
    """The thing does not work, or would lose data. The advice of an error to clear a task is left out: none has failed here."""
    return Finding(thing, Found.WRONG, without_advice(seen), fix)


def without_advice(sentence: str) -> str:
    """The sentence of an error without its advice to clear a task."""
    return _ADVICE.sub("", sentence)


def warning(thing: str, seen: str, fix: str) -> Finding:
    """The thing works, and is not as it should be."""
    return Finding(thing, Found.WARNING, seen, fix)


def unknown(thing: str, seen: str, fix: str = "") -> Finding:
    """The thing cannot be checked from here; `fix` says where it can."""
    return Finding(thing, Found.UNKNOWN, seen, fix)


def without_secrets(findings: Iterable[Finding], secrets: Iterable[str]) -> list[Finding]:
    """The findings without any of these secrets, and without texts in the form of a credential."""
    known = tuple(secrets)
    return [
        replace(each, seen=redact(" ".join(each.seen.split()), known), fix=redact(each.fix, known)) for each in findings
    ]
