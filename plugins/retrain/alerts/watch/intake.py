"""Takes signals into the book, each trouble with what consumers are on as the ledger has it at that moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from retrain.alerts.backfills import into_thread
from retrain.alerts.incident import Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.outbox import Outbox
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch.book import Book
from retrain.alerts.watch.configuration import Configuration
from retrain.alerts.watch.situations import Reading, Situations
from retrain.deployment.pipeline_file import Deployment
from retrain.results import Recorded

log = logging.getLogger(__name__)

_COMPLETES_FOR = 60.0  # seconds that one turn spends on situations that were not known


class Intake:
    """For several threads. `now` is the clock (UTC), `ledger` reads a pipeline's situation, `changed` wakes the channels."""

    def __init__(
        self,
        outbox: Outbox,
        book: Book,
        configuration: Configuration,
        ledger: Callable[[Deployment, datetime], Situation],
        *,
        now: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._book = book
        self._configuration = configuration
        self._situations = Situations(ledger, now)
        self._now = now
        self._changed = changed
        self._folded: set[Path] = set()  # files whose signals are in the book, and perhaps not yet on disk there

    def of_tasks(self) -> None:
        """Take what the outbox holds. A file is removed once what it says is on disk elsewhere."""
        changed, reading = False, Reading()
        for path, found in self._outbox.take():
            if path in self._folded:
                continue
            try:
                folded = self._fold(found, reading)
            except Exception:
                log.exception("%s cannot be taken in and is put aside", path)
                self._outbox.put_aside(path)
                continue
            if folded is not None:  # else its backfill is seen at the next look
                changed |= folded
                self._folded.add(path)
        self._keep(changed)
        for path in self._folded:
            path.unlink(missing_ok=True)
        self._folded.clear()

    def of_observer(self, signals: Iterable[Signal]) -> None:
        """Take what the watch has seen for itself. One that cannot be taken in is raised after all the others are."""
        changed, reading = False, Reading()
        failure: Exception | None = None
        for found in signals:
            try:
                changed |= bool(self._fold(found, reading))
            except Exception as error:  # noqa: BLE001 - raised below
                failure = error
        self._keep(changed)
        if failure is not None:
            raise failure

    def complete(self) -> None:
        """Read again what consumers are on where an open incident could not say it."""
        began, changed = time.monotonic(), False
        for pipeline in sorted({i.key.pipeline for i in self._book.open() if i.situation and i.situation.unknown}):
            if time.monotonic() - began > _COMPLETES_FOR:
                break
            situation = self._situation(pipeline, Reading())
            if not situation.unknown:
                changed |= self._book.restate(pipeline, situation)
        self._keep(changed)

    def _fold(self, found: Signal, reading: Reading) -> bool | None:
        """Whether a signal changes what is to be told; None while the backfill that it belongs to is not known yet."""
        told = into_thread(found, self._book.open(), self._now())
        if told is None:
            return None
        if told.step is Step.TROUBLE and not _says_nothing_of_the_model(told) and not self._book.knows(told):
            return self._book.fold(told, self._situation(told.pipeline, reading))
        changed = self._book.fold(told)
        if _changes_what_is_live(told) and self._book.states(told.pipeline):
            changed |= self._book.restate(told.pipeline, self._situation(told.pipeline, reading))
        return changed

    def _situation(self, pipeline: str, reading: Reading) -> Situation:
        deployment = self._configuration.deployments.get(pipeline)
        if deployment is None:
            at = self._now().isoformat(timespec="milliseconds")
            return Situation(at, unknown=f"no file that can be read says where the ledger of {pipeline} is")
        return self._situations.of(deployment, reading)

    def _keep(self, changed: bool) -> None:
        """Have the channels tell what has changed, then save it: a full disk must not keep a message back."""
        if changed:
            self._changed()
        self._book.save()


def _says_nothing_of_the_model(signal: Signal) -> bool:
    """Whether the signal's message has no line on what consumers are on: a backfill never promotes, nor does Airflow itself."""
    return signal.kind is Kind.BACKFILL or (signal.kind is Kind.PIPELINE_SILENT and signal.partition is None)


def _changes_what_is_live(signal: Signal) -> bool:
    recorded = signal.task == Recorded.task or signal.kind is Kind.PIPELINE_SILENT
    return signal.kind is Kind.PROMOTED or (signal.step is Step.GOOD and recorded)
