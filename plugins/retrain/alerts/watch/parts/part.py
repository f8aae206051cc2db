"""A periodic task of the watch, in its own thread, so that one that fails or hangs does not hold up the others."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from typing import ClassVar

from retrain.alerts.watch.health import Findings

log = logging.getLogger(__name__)

_HANGS_AFTER = 180.0  # seconds in one turn
_AGAIN_AFTER = 5.0  # seconds after a turn that failed


class Part(ABC):
    """Does its work every `every` seconds, or at once when woken."""

    name: ClassVar[str]

    def __init__(self, every: float) -> None:
        self.every = every
        self.error = ""
        self.turns = 0
        self._began: float | None = None
        self._ended: float | None = None
        self._stopping = threading.Event()
        self._woken = threading.Event()
        # A daemon: a part that hangs must not delay the end of the process. A crash at any point loses nothing.
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    @abstractmethod
    def work(self) -> None:
        """Do the work of one turn. An exception fails this turn only."""

    def findings(self) -> Findings:
        """What is wrong with the part, and with what it looks after. Called from other threads."""
        return Findings(problems=self.troubles())

    def troubles(self) -> dict[str, str]:
        """The part's own trouble by its name; empty if all is well."""
        return {self.name: self.trouble} if self.trouble else {}

    @property
    def trouble(self) -> str:
        """Why the last turn failed, or that the present one takes too long; empty if all is well."""
        return f"its turn has been running for more than {_HANGS_AFTER:.0f} s" if self.hangs else self.error

    @property
    def hangs(self) -> bool:
        began = self._began
        return began is not None and time.monotonic() - began > _HANGS_AFTER

    @property
    def seconds_ago(self) -> float | None:
        """The seconds since its last turn ended, well or not; None before the first."""
        return None if self._ended is None else time.monotonic() - self._ended

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Start the next turn as soon as the present one is over."""
        self._woken.set()

    def stop(self) -> None:
        """Start no further turn."""
        self._stopping.set()
        self._woken.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def take_turn(self) -> None:
        """Do the work once. An exception is logged and kept in `error`."""
        self._began = time.monotonic()
        try:
            self.work()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            if said != self.error:  # a lasting fault is logged once, not every two seconds
                log.exception("%s failed", self.name)
            self.error = said
        else:
            if self.error:
                log.info("%s works again", self.name)
            self.error = ""
        self._began, self._ended = None, time.monotonic()
        self.turns += 1

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.take_turn()
            self._woken.wait(min(self.every, _AGAIN_AFTER) if self.error else self.every)
            self._woken.clear()
