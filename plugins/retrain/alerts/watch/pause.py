"""A pause after a failure, doubled with each further one."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Pause:
    """Until when a server is not asked again (seconds of the monotonic clock), after how many failures in a row, and why."""

    why: str
    until: float
    failures: int = 1

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until


def pause_after(before: Pause | None, why: str, *, first: float, longest: float) -> Pause:
    """The pause after a failure; `before` is the pause after the failure before it. `first` and `longest` are seconds."""
    failures = before.failures + 1 if before else 1
    return Pause(why, time.monotonic() + min(first * 2 ** (failures - 1), longest), failures)
