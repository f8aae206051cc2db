"""One stage of a successful `dvc repro`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StageOutcome(StrEnum):
    """RAN: its command was executed. CACHED: DVC took its outputs from the cache."""

    RAN = "ran"
    CACHED = "cached"


@dataclass(frozen=True)
class StageRun:
    """How a stage ended, and what it used.

    `seconds` is the time from DVC's line about the stage to its next line, so it includes storing the outputs. `peak_memory` is
    the largest resident memory, in bytes, of any one process of the stage; 0 for a stage from the cache. It is sampled four times
    a second, so a process that lives for less than that may be missed.
    """

    name: str
    outcome: StageOutcome
    seconds: float
    peak_memory: int
