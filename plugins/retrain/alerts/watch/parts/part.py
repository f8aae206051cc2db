"""A periodic task of the watch, in its own thread, so that one that fails or hangs does not hold up the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

_HANGS_AFTER = 180.0  # seconds in one turn
_AGAIN_AFTER = 5.0  # seconds after a turn that failed


class Part:
    """Has its turn every so many seconds, or at once when woken."""

    def __init__(self, name: str, every: float, turn: Callable[[], None]) -> None:
        self.name = name
        self.every = every
        self.error = ""
        self.turns = 0
        self._turn = turn
        self._began: float | None = None
        self._ended: float | None = None
        self._stopping = threading.Event()
        self._woken = threading.Event()
        # What hangs must not hold up the end of the process; nothing is lost by a crash at any point.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Have a turn as soon as the present one is over."""
        self._woken.set()

    def stop(self) -> None:
        """Have no further turn."""
        self._stopping.set()
        self._woken.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    @property
    def trouble(self) -> str:
        """Why the last turn failed, or that the present one takes too long; empty when all is well."""
        return f"has been at it for more than {_HANGS_AFTER:.0f} s" if self.hangs else self.error

    @property
    def hangs(self) -> bool:
        began = self._began
        return began is not None and time.monotonic() - began > _HANGS_AFTER

    @property
    def seconds_ago(self) -> float | None:
        """When its last turn ended, well or not."""
        return None if self._ended is None else time.monotonic() - self._ended

    def have_turn(self) -> None:
        """One turn; what goes wrong in it is kept in `error`."""
        self._began = time.monotonic()
        try:
            self._turn()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            if said != self.error:  # a fault that lasts is one line of the log, not one every two seconds
                log.exception("%s failed", self.name)
            self.error = said
        else:
            if self.error:
                log.info("%s is well again", self.name)
            self.error = ""
        self._began, self._ended = None, time.monotonic()
        self.turns += 1

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.have_turn()
            self._woken.wait(min(self.every, _AGAIN_AFTER) if self.error else self.every)
            self._woken.clear()
