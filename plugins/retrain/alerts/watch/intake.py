"""Folds signals into the book; a new trouble gets the situation that the ledger shows at that moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue

from retrain.alerts.backfills import into_thread
from retrain.alerts.incident import Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch.situations import AskLedger, Reading, Situations
from retrain.alerts.watch.state import WatchState
from retrain.results import Recorded

log = logging.getLogger(__name__)

_COMPLETES_FOR = 60.0  # seconds that one turn spends on unknown situations


class Intake:
    """Thread-safe. `ask` reads a pipeline's situation from its ledger; `wake_channels` is called when a message changed."""

    def __init__(self, state: WatchState, ask: AskLedger, *, wake_channels: Callable[[], None]) -> None:
        self._outbox = state.outbox
        self._book = state.book
        self._configuration = state.configuration
        self._now = state.now
        self._situations = Situations(ask, state.now)
        self._wake_channels = wake_channels
        self._recorded: SimpleQueue[tuple[str, str]] = SimpleQueue()  # pipeline, partition
        self._folded: set[Path] = set()  # files whose signals are in the book's memory, and perhaps not yet on its disk

    def fold_outbox(self) -> None:
        """Fold the signals of the outbox. A file is removed once its signal is on the book's disk.

        Raises:
            OSError: the outbox cannot be listed, or the book cannot be saved. The files stay; a later call goes on with them.
        """
        changed, reading = False, Reading()
        for path, found in self._outbox.take():
            if path in self._folded:
                continue
            try:
                folded = self._fold(found, reading)
            except Exception:
                log.exception("%s cannot be folded and is put aside", path)
                self._outbox.put_aside(path)
                continue
            if folded is not None:  # else the observer will find its backfill
                changed |= folded
                self._folded.add(path)
        self._wake_and_save(changed)
        for path in self._folded:
            path.unlink(missing_ok=True)
        self._folded.clear()

    def fold_observed(self, signals: Iterable[Signal]) -> None:
        """Fold the observer's signals.

        Raises:
            Exception: one of them could not be folded; the others were.
            OSError: the book cannot be saved. The signals count from memory; a later call saves them.
        """
        changed, reading = False, Reading()
        failure: Exception | None = None
        for found in signals:
            try:
                changed |= bool(self._fold(found, reading))
            except Exception as error:  # noqa: BLE001 - raised below
                failure = error
        self._wake_and_save(changed)
        if failure is not None:
            raise failure

    def take_recorded(self) -> dict[str, set[str]]:
        """The partitions, by pipeline, whose run a task has reported as recorded since the last call."""
        found: dict[str, set[str]] = {}
        while not self._recorded.empty():  # one thread takes
            pipeline, partition = self._recorded.get()
            found.setdefault(pipeline, set()).add(partition)
        return found

    def complete_situations(self) -> None:
        """Read the ledger again for open incidents whose situation is unknown.

        Raises:
            OSError: the book cannot be saved. The situations count from memory; a later call saves them.
        """
        began, changed = time.monotonic(), False
        for pipeline in sorted({i.key.pipeline for i in self._book.open() if i.situation and i.situation.unknown}):
            if time.monotonic() - began > _COMPLETES_FOR:
                break
            situation = self._situation(pipeline, Reading())
            if not situation.unknown:
                changed |= self._book.restate(pipeline, situation)
        self._wake_and_save(changed)

    def _fold(self, found: Signal, reading: Reading) -> bool | None:
        """True if the signal changes a message; None while the backfill that it belongs to is not known yet."""
        signal = into_thread(found, self._book.open(), self._now())
        if signal is None:
            return None
        if signal.step is Step.TROUBLE and _shows_the_live_model(signal) and not self._book.knows(signal):
            return self._book.fold(signal, self._situation(signal.pipeline, reading))
        changed = self._book.fold(signal)
        if signal.step is Step.GOOD and signal.task == Recorded.task and signal.partition:
            self._recorded.put((signal.pipeline, signal.partition))
        if self._may_change_the_situation(signal):
            changed |= self._book.restate(signal.pipeline, self._situation(signal.pipeline, reading))
        return changed

    def _may_change_the_situation(self, signal: Signal) -> bool:
        """True if an open incident shows something that the signal may have changed. A run of an older day than those shown has not."""
        shown = self._book.situations(signal.pipeline)
        recorded = signal.task == Recorded.task or signal.kind is Kind.PIPELINE_SILENT
        if signal.kind is Kind.PROMOTED:
            return bool(shown)
        if signal.step is not Step.GOOD or not recorded:
            return False
        return any(s is None or not s.last_good or (signal.partition or "9") >= s.last_good for s in shown)

    def _situation(self, pipeline: str, reading: Reading) -> Situation:
        deployment = self._configuration.deployments.get(pipeline)
        if deployment is None:
            at = self._now().isoformat(timespec="milliseconds")
            return Situation(at, unknown=f"no file that can be read says where the ledger of {pipeline} is")
        return self._situations.of(deployment, reading)

    def _wake_and_save(self, changed: bool) -> None:
        """Wake the channels, then save: a full disk must not hold back a message."""
        if changed:
            self._wake_channels()
        self._book.save()


def _shows_the_live_model(signal: Signal) -> bool:
    """False for a backfill, which never promotes, and for an outage of Airflow, which belongs to no pipeline."""
    return signal.kind is not Kind.BACKFILL and not (signal.kind is Kind.PIPELINE_SILENT and signal.partition is None)
