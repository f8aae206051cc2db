"""Follows the calls of `dvc repro`: which stages ran, how long each took, how much memory it needed."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field, replace

from retrain.run.stage_run import StageOutcome, StageRun
from retrain.work import child_memory

_RUNNING = re.compile(r"Running stage '([^']+)'")
_FROM_CACHE = re.compile(r"Stage '([^']+)' (?:is cached|didn't change)")


@dataclass(frozen=True)
class FinishedRepro:
    """A successful `dvc repro`: its stages in the order in which they ran, and the seconds that it took."""

    stages: tuple[StageRun, ...]
    seconds: float

    @property
    def executed(self) -> tuple[str, ...]:
        """The stages that ran."""
        return tuple(stage.name for stage in self.stages if stage.outcome is StageOutcome.RAN)

    @property
    def cached(self) -> tuple[str, ...]:
        """The stages whose outputs came from the cache."""
        return tuple(stage.name for stage in self.stages if stage.outcome is StageOutcome.CACHED)


@dataclass
class ReproProgress:
    """Collects the stages of one or more calls of `dvc repro`. `lines` are DVC's own lines about them.

    `see` and `sample` are called by two threads.
    """

    lines: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _runs: dict[str, StageRun] = field(default_factory=dict)
    _current: str | None = None
    _since: float = 0.0

    def see(self, line: str) -> None:
        """Take a line of the output."""
        ran, cached = _RUNNING.match(line), _FROM_CACHE.match(line)
        found = ran or cached
        if found:
            self.end_stage()
            self.lines.append(line)
            with self._lock:
                known = self._runs.get(found[1])
                if cached and known and known.outcome is StageOutcome.RAN:
                    return  # an earlier call ran it
                self._current = found[1]
                self._runs[found[1]] = StageRun(found[1], StageOutcome.RAN if ran else StageOutcome.CACHED, 0.0, 0)

    def sample(self, pid: int) -> None:
        """Measure the memory of the processes below DVC, whose process id is `pid`, for the running stage."""
        stage = self._current
        peak = child_memory.peak_below(pid)
        with self._lock:
            if stage is None or stage != self._current:
                return  # another stage began meanwhile, and the process may belong to either
            run = self._runs[stage]
            if run.outcome is StageOutcome.RAN:
                self._runs[stage] = replace(run, peak_memory=max(run.peak_memory, peak))

    def end_stage(self) -> None:
        """Note that the running stage has ended."""
        now = time.monotonic()
        with self._lock:
            if self._current is not None:
                self._runs[self._current] = replace(self._runs[self._current], seconds=now - self._since)
            self._current, self._since = None, now

    def stages(self) -> tuple[StageRun, ...]:
        """The stages until now, in the order in which they began."""
        return tuple(self._runs.values())
