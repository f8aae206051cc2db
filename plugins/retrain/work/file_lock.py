"""A lock between processes that share a file system.

A lock file may be removed while others wait for it. So a lock counts only if, once it is acquired, the path still names the file
that was locked; if not, the path is opened again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from retrain.errors import FileLockTimeoutError

log = logging.getLogger(__name__)

TIMEOUT = 2100.0  # seconds
_LOG_EVERY = 60.0
_LONGEST_PAUSE = 1.0


@contextmanager
def locked(path: Path, *, what: str = "", timeout: float = TIMEOUT) -> Iterator[None]:
    """Wait for the lock file `path` and lock it exclusively. The kernel releases it when the process ends, even by a signal.

    The holder writes its process id and host into the file, for the log of the others. Threads exclude each other too.

    Args:
        what: the name of what is locked, for log and error.
        timeout: seconds to wait.

    Raises:
        FileLockTimeoutError: another process did not release it in time.
    """
    with _waited(path, fcntl.LOCK_EX, what or path.name, timeout) as file:
        _sign(file, f"process {os.getpid()} on {socket.gethostname()}")
        try:
            yield
        finally:
            _sign(file, "")


@contextmanager
def shared(path: Path, *, what: str = "", timeout: float = TIMEOUT) -> Iterator[None]:
    """Lock `path` together with others that share it. It excludes `locked` and `try_locked`.

    Args and errors as for `locked`.
    """
    with _waited(path, fcntl.LOCK_SH, what or path.name, timeout):
        yield


@contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Try to lock `path` without waiting; yields True if the lock was acquired. The kernel releases it when the process ends."""
    with _opened(path) as file:
        yield _acquired(file, fcntl.LOCK_EX) and _is_at(file, path)


def remove_unlocked(path: Path) -> bool:
    """Remove a lock file, unless it is locked; returns True if it was removed. Processes that wait for it open a new one."""
    with path.open("a+") as file:
        if not _acquired(file, fcntl.LOCK_EX) or not _is_at(file, path):
            return False
        path.unlink()
        return True


@contextmanager
def _waited(path: Path, mode: int, what: str, timeout: float) -> Iterator[IO[str]]:
    """The lock file, once it is locked in `mode` and still at its path."""
    wait = _Wait(path, mode, what, timeout, time.monotonic())
    while True:
        with _opened(path) as file:
            wait.until_acquired(file)
            if not _is_at(file, path):  # removed while this process waited: each attempt needs a removal
                continue
            try:
                yield file
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
            return


@dataclass
class _Wait:
    """The wait for one lock, over all files that are at its path one after another."""

    path: Path
    mode: int
    what: str
    timeout: float
    began: float
    pause: float = 0.01
    next_line: float = field(default_factory=lambda: _LOG_EVERY)

    def until_acquired(self, file: IO[str]) -> None:
        while not _acquired(file, self.mode):
            waited = time.monotonic() - self.began
            if waited >= self.timeout:
                raise FileLockTimeoutError(
                    f"{self.what} ({self.path}) is still locked by {_holder(file)} after {waited:.0f} s. See whether that "
                    "process hangs. Once it has ended, the lock is free: then clear the task."
                )
            if waited >= self.next_line:
                log.info(
                    "waiting for %s (%s), locked by %s, for %.0f s now", self.what, self.path, _holder(file), waited
                )
                self.next_line += _LOG_EVERY
            time.sleep(min(self.pause, max(self.timeout - waited, 0.0)))
            self.pause = min(2 * self.pause, _LONGEST_PAUSE)


def _opened(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a+")


def _acquired(file: IO[str], mode: int) -> bool:
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    """True if `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: IO[str], holder: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(holder)
    file.flush()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "another process"
