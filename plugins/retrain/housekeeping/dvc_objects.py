"""Which objects of a pipeline's DVC cache stay. Nothing here removes a file."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

from retrain.housekeeping.kept_days import md5_of
from retrain.housekeeping.stored_files import StoredFile, files_below

log = logging.getLogger(__name__)

YOUNG_DAYS = 2  # a run whose tasks are tried again may still need what it wrote
_OBJECT = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")
CORRUPT = ".corrupt-"


def with_members(needed: Iterable[str], members: Callable[[str], AbstractSet[str]]) -> frozenset[str]:
    """The needed MD5s, and for each that is a directory's (`.dir`) the MD5s of its files, which `members` reads."""
    known = frozenset(needed)
    return known.union(*(members(md5) for md5 in known if md5.endswith(".dir")))


def removable(files: Iterable[StoredFile], folder: Path, needed: AbstractSet[str], young: float) -> list[StoredFile]:
    """The files below `files/md5` that nothing needs.

    Args:
        files: all files below `folder`.
        folder: the folder `files/md5` of the cache.
        needed: the MD5s that stay.
        young: files that were written after this moment (seconds since the epoch) stay.
    """
    return [
        file
        for file in files
        if file.written < young
        and CORRUPT not in file.path.name  # they have a limit of their own
        and md5_of(file.path.relative_to(folder).as_posix()) not in needed
    ]


def present(cache: Path) -> frozenset[str]:
    """The MD5s of all objects in a cache."""
    folder = cache / "files" / "md5"
    names = (file.path.relative_to(folder).as_posix() for file in files_below(folder))
    return frozenset(md5_of(name) for name in names if _OBJECT.fullmatch(name))


def members(cache: Path, md5: str) -> frozenset[str]:
    """The MD5s of the files of a directory.

    Empty if its listing is not in the cache or is broken: then DVC cannot find these files there either.
    """
    path = cache / "files" / "md5" / md5[:2] / md5[2:]
    try:
        return frozenset(str(entry["md5"]) for entry in json.loads(path.read_bytes()))
    except FileNotFoundError:
        return frozenset()
    except (ValueError, LookupError, TypeError) as error:
        log.warning("the listing %s cannot be read, so its files count as not needed: %r", path, error)
        return frozenset()
