"""Files below a folder: listing them with size and age, and removing them. Links are never followed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retrain.housekeeping.cleaned import Amount

_EMPTY_FOR_SECONDS = 24 * 3600  # a folder that was just made gets its first file


@dataclass(frozen=True)
class StoredFile:
    """A file: its size in bytes, and when it was written, in seconds since the epoch."""

    path: Path
    bytes: int
    written: float


def files_below(folder: Path) -> Iterator[StoredFile]:
    """Every regular file below a folder, which need not exist. Files that somebody else removes meanwhile are left out.

    Raises:
        OSError: a folder cannot be read.
    """
    for below, _, names in os.walk(folder, onerror=_unless_gone):
        for name in names:
            path = Path(below, name)
            with suppress(FileNotFoundError):
                if not path.is_symlink():
                    stat = path.stat()
                    yield StoredFile(path, stat.st_size, stat.st_mtime)


def amount(files: Iterable[StoredFile]) -> Amount:
    """How many files, and how large together."""
    found = Amount()
    for file in files:
        found += Amount(1, file.bytes)
    return found


def remove(files: Iterable[StoredFile], *, dry_run: bool) -> Amount:
    """Remove files, and return how much that freed; with `dry_run` nothing is removed.

    Raises:
        OSError: a file cannot be removed.
    """
    freed = Amount()
    for file in files:
        if not dry_run:
            file.path.unlink(missing_ok=True)
        freed += Amount(1, file.bytes)
    return freed


def remove_empty_folders(folder: Path, now: float) -> None:
    """Remove the folders below `folder` that have been empty for a day. `now` is in seconds since the epoch.

    Raises:
        OSError: one cannot be removed.
    """
    for below, folders, _ in os.walk(folder, topdown=False, onerror=_unless_gone):
        for name in folders:
            path = Path(below, name)
            with suppress(FileNotFoundError):
                if path.is_symlink() or any(path.iterdir()) or now - path.stat().st_mtime < _EMPTY_FOR_SECONDS:
                    continue
                path.rmdir()


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
