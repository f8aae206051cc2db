"""Ends a child process that fills a folder with more than it may."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


class SizeLimit:
    """For `process.run`'s `each_sample`: sends SIGTERM once `folder` holds more than `most_bytes`; then `exceeded` is True."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most = most_bytes
        self.exceeded = False

    def __call__(self, pid: int) -> None:
        """Measure the folder, and end the process if it is over the limit."""
        size = 0
        for file in self._folder.rglob("*"):
            with suppress(FileNotFoundError):  # Git moves a file to its place
                size += file.stat().st_size
        if size > self._most and not self.exceeded:
            self.exceeded = True
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
