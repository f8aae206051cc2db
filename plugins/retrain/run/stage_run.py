"""How one stage of a `dvc repro` ended, and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """RAN: its command was executed. CACHED: DVC brought its outputs from the cache."""

    RAN = "ran"
    CACHED = "cached"


@dataclass(frozen=True)
class StageRun:
    """One stage in a green `dvc repro`.

    `seconds` from DVC's line about it to its next one, so with the time that DVC took to store its outputs. `peak_memory` is
    the largest resident memory, in bytes, of any one process of the stage. It is sampled four times a second: a process that
    lives for less than that may be missed. 0 for a stage from the cache.
    """

    name: str
    outcome: Outcome
    seconds: float
    peak_memory: int
