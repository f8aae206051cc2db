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
    """One stage. `seconds` is wall time.

    `peak_memory` is the largest resident size in bytes of any one process of the stage, sampled four times a second;
    0 for a stage from the cache, and for one that ended before the first sample.
    """

    name: str
    outcome: Outcome
    seconds: float
    peak_memory: int
