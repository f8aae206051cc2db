"""Reads a pipeline's situation (the live model, the last good run) from its ledger when a message is written.

A message never waits long for it: a turn that folds signals spends a few seconds at most on all its ledgers together. A situation
that was not read then is read later, pipeline by pipeline, with growing pauses.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from retrain.alerts.errors import WatchError
from retrain.alerts.incident import Situation
from retrain.alerts.watch.pause import Pause, pause_after
from retrain.deployment.pipeline_file import Deployment
from retrain.store import promotions
from retrain.store.ledger import Ledger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

AskLedger = Callable[[Deployment, datetime], Situation]  # the situation at a moment (UTC)

_RECENT = timedelta(days=14)
_WAITS_SECONDS = 5.0  # that a turn waits for all its ledgers together
_FIRST_PAUSE = 5.0  # seconds before a ledger that could not be read is asked again; doubled with each failure
_LONGEST_PAUSE = 300.0


def read(client: S3Client, deployment: Deployment, now: datetime) -> Situation:
    """The situation that the ledger shows.

    It looks among the last two weeks first, where a pipeline that works has its newest run and promotion: five requests,
    however many days are recorded.

    Raises:
        StoreError: S3 refused or did not answer.
        RecordError: a document of the ledger cannot be read.
        RecordVersionError: a newer deployment wrote the newest record.
    """
    ledger = Ledger(client, deployment.ledger)
    pipeline, recent = deployment.pipeline, (now - _RECENT).date().isoformat()
    record = ledger.newest_since(pipeline, recent) or ledger.newest(pipeline)
    promotion = promotions.newest(ledger, pipeline, recent) or promotions.newest(ledger, pipeline)
    return Situation(
        as_of=now.isoformat(timespec="milliseconds"),
        champion=promotion.version if promotion else None,
        champion_partition=promotion.partition if promotion else None,
        last_good=record.partition if record else None,
        last_good_at=record.recorded_at if record else None,
        release=record.release if record else None,
    )


@dataclass
class Reading:
    """The situations that one turn has read. It reads each ledger once: its signals are older than its first question."""

    seconds: float = field(default_factory=lambda: _WAITS_SECONDS)  # that the turn may still wait
    known: dict[str, Situation] = field(default_factory=dict)


@dataclass
class Situations:
    """Reads situations in bounded time. Thread-safe.

    `ask` reads one pipeline's situation and may hang; it runs in a thread of its own. A ledger that did not answer gets a pause.
    """

    ask: AskLedger
    clock: Callable[[], datetime]  # UTC
    _pauses: dict[str, Pause] = field(default_factory=dict)
    _asking: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, deployment: Deployment, reading: Reading) -> Situation:
        """The situation now. If the ledger does not answer in the time that is left, its `unknown` says why."""
        known = reading.known.get(deployment.pipeline)
        if known is None:
            read = replace(self._read(deployment, reading), timezone=deployment.schedule.timezone)
            known = reading.known[deployment.pipeline] = read
        return known

    def _read(self, deployment: Deployment, reading: Reading) -> Situation:
        pipeline, began = deployment.pipeline, self.clock()
        at = began.isoformat(timespec="milliseconds")
        pause = self._pauses.get(pipeline)
        if pause is not None and not pause.over:
            return Situation(at, unknown=pause.why)
        if reading.seconds <= 0:
            return Situation(at, unknown="other ledgers took all the time that a message waits")
        started = time.monotonic()
        try:
            situation = self._within(reading.seconds, deployment, began)
        except Exception as error:  # noqa: BLE001 - a fault of one ledger must not keep its messages from being sent
            return Situation(at, unknown=self._failed(pipeline, error))
        finally:
            reading.seconds -= time.monotonic() - started
        if self._pauses.pop(pipeline, None):
            log.info("The ledger of %s can be read again", pipeline)
        return replace(situation, as_of=at)  # the moment of the question, not of the answer

    def _within(self, seconds: float, deployment: Deployment, began: datetime) -> Situation:
        """Ask in a daemon thread: a ledger that hangs must delay neither a message nor the end of the process.

        Raises:
            WatchError: no answer came within `seconds`, or an earlier question still hangs.
        """
        pipeline = deployment.pipeline
        with self._lock:
            if pipeline in self._asking:
                raise WatchError("the ledger has not answered the question before this one")
            self._asking.add(pipeline)
        answers: SimpleQueue[Situation | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self.ask(deployment, began))
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
                answers.put(error)
            finally:
                with self._lock:
                    self._asking.discard(pipeline)

        threading.Thread(target=ask, name=f"situation of {pipeline}", daemon=True).start()
        try:
            answer = answers.get(timeout=seconds)
        except Empty as error:
            raise WatchError(f"the ledger did not answer within {seconds:.0f} s") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _failed(self, pipeline: str, error: Exception) -> str:
        before = self._pauses.get(pipeline)
        why = str(error) or type(error).__name__
        if before is None:
            log.warning("The situation of %s is not known: %s", pipeline, why, exc_info=error)
        self._pauses[pipeline] = pause_after(before, why, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        return why
