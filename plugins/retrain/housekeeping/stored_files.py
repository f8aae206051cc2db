"""Files below a folder: listing them with size and age, and removing them. Links are never followed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import HousekeepingError
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
    for below, _, names in os.walk(folder, onerror=unless_gone):
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
        HousekeepingError: some could not be removed. All others were.
    """
    freed = Amount()
    failed: list[OSError] = []
    for file in files:
        try:
            if not dry_run:
                file.path.unlink(missing_ok=True)
            freed += Amount(1, file.bytes)
        except OSError as error:
            failed.append(error)
    if failed:
        raise HousekeepingError(
            f"{len(failed)} files could not be removed, the first because of {failed[0]}. The others were: {freed}. "
            "Let the user of the workers remove them."
        ) from failed[0]
    return freed


def remove_empty_folders(folder: Path, now: float) -> None:
    """Remove the folders below `folder` that have been empty for a day. `now` is in seconds since the epoch.

    Raises:
        OSError: one cannot be removed.
    """
    for below, folders, _ in os.walk(folder, topdown=False, onerror=unless_gone):
        for name in folders:
            path = Path(below, name)
            try:
                if path.is_symlink() or any(path.iterdir()) or now - path.stat().st_mtime < _EMPTY_FOR_SECONDS:
                    continue
                path.rmdir()
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):  # somebody else was faster
                    raise


def unless_gone(error: OSError) -> None:
    """Raise the error of `os.walk`, unless somebody else has removed the folder meanwhile."""
    if not isinstance(error, FileNotFoundError):
        raise error
