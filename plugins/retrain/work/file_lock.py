"""A lock between processes that share a file system."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _wait(file, path, what or path.name, timeout)
        _sign(file, f"process {os.getpid()} on {socket.gethostname()}")
        try:
            yield
        finally:
            _sign(file, "")
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Try to lock `path` without waiting; yields True if the lock was acquired. The kernel releases it when the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield _acquired(file)


def _wait(file: IO[str], path: Path, what: str, timeout: float) -> None:
    began = time.monotonic()
    pause, next_line = 0.01, _LOG_EVERY
    while not _acquired(file):
        waited = time.monotonic() - began
        if waited >= timeout:
            raise FileLockTimeoutError(
                f"{what} ({path}) is still locked by {_holder(file)} after {waited:.0f} s. See whether that process hangs. Once it "
                "has ended, the lock is free: then clear the task."
            )
        if waited >= next_line:
            log.info("waiting for %s (%s), locked by %s, for %.0f s now", what, path, _holder(file), waited)
            next_line += _LOG_EVERY
        time.sleep(min(pause, max(timeout - waited, 0.0)))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _acquired(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: IO[str], holder: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(holder)
    file.flush()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "another process"
