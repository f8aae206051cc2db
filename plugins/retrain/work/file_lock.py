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
    """Hold the lock `path` exclusively, after waiting for it; the kernel releases it when the process ends, however it ends.

    The holder writes its process id and its host into the file, for those who wait. Threads exclude each other, too.

    Args:
        what: what is locked, for the log.
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
                f"{what} is locked ({path}) by {_holder(file)}, still after {waited:.0f} s. See whether that process hangs; when it has "
                "ended, the lock is free. Then clear the task."
            )
        if waited >= next_line:
            log.info("waiting since %.0f s for %s (%s), held by %s", waited, what, path, _holder(file))
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
