"""The space on the shared volume, by its file system and by the limit that a deployment sets itself."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import ConfigurationError, DiskFullError

LIMIT = "RETRAIN_HOME_LIMIT_GB"
_GB = 10**9


@dataclass(frozen=True)
class VolumeSpace:
    """Bytes of the volume's file system. `limit` is its size, or what the deployment allows if that is less."""

    used: int
    free: int
    limit: int


def configured_limit(environment: Mapping[str, str]) -> int | None:
    """The bytes that may be used on the volume, from RETRAIN_HOME_LIMIT_GB; None if it is not set.

    A network file system without an end, such as EFS, needs it: EFS reports 8 EiB, and the bytes that are used.

    Raises:
        ConfigurationError: the variable is no number above 0.
    """
    text = environment.get(LIMIT) or ""
    if not text:
        return None
    try:
        limit = int(float(text) * _GB)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(f"{LIMIT}={text!r} is no number. Set it to gigabytes, such as 500.") from error
    if limit <= 0:
        raise ConfigurationError(
            f"{LIMIT}={text!r} leaves no space. Set it to gigabytes, such as 500, or leave it out."
        )
    return limit


def space(folder: Path, limit: int | None) -> VolumeSpace:
    """The space on the file system of a folder, or of its nearest parent that exists; `limit` is in bytes.

    It is one question to the file system, however many files there are. EFS answers with a size that is up to hours old.

    Raises:
        OSError: the file system does not answer.
    """
    known = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists()))
    if limit is None or limit >= known.total:
        return VolumeSpace(known.used, known.free, known.total)
    return VolumeSpace(known.used, min(known.free, max(limit - known.used, 0)), limit)


@contextmanager
def named_if_full(folder: Path) -> Iterator[None]:
    """Translate the error of a write below `folder` that found no space.

    Raises:
        DiskFullError: the disk, or the quota on it, is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(f"The disk of {folder} filled up. Free some space, then clear the task.") from error
