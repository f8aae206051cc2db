"""The calls of `dvc repro` that reproduce one checkout: they share a time limit, and each stage is reported once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from retrain.work.dvc.failure import why_failed
from retrain.work.dvc.progress import FinishedRepro, ReproProgress
from retrain.work.process import Finished


class CallDvc(Protocol):
    """Runs DVC with these arguments in the checkout, for at most `timeout` seconds, and reports to `progress` meanwhile."""

    def __call__(self, *arguments: str, timeout: float, progress: ReproProgress | None = None) -> Finished: ...


@dataclass
class Reproduction:
    """A reproduction that has to end at the moment `until` of the monotonic clock. `seconds` is what its calls took so far.

    `targets` are those of the run, as `dvc repro` takes them; none for the dvc.yaml at the top.
    """

    call: CallDvc
    until: float
    targets: tuple[str, ...] = ()
    seconds: float = 0.0
    _progress: ReproProgress = field(default_factory=ReproProgress)

    def run(self, stages: Sequence[str] = ()) -> None:
        """Run `dvc repro` for these stages and all that they need; by default for the run's targets.

        Raises:
            RetrainError: as `failure.why_failed` names it, with stage and evidence.
        """
        self._run("repro", *(stages or self.targets))

    def force(self, stages: Sequence[str]) -> None:
        """Run these stages, whatever DVC's caches hold, and none that they need.

        Raises:
            RetrainError: as for `run`.
        """
        self._run("repro", "--force", "--single-item", *stages)

    def finished(self) -> FinishedRepro:
        """The stages of all calls, and the seconds that these took."""
        return FinishedRepro(self._progress.stages(), self.seconds)

    def _run(self, *arguments: str) -> None:
        left = max(0.0, self.until - time.monotonic())
        done = self.call(*arguments, timeout=left, progress=self._progress)
        self._progress.end_stage()
        self.seconds += done.seconds
        if done.returncode != 0 or done.timed_out:
            # Only the end of the output is kept, and a stage that prints much pushes DVC's lines about the stages out of it.
            said = "\n".join([*self._progress.lines, done.output])
            raise why_failed(replace(done, output=said, seconds=self.seconds))
