"""The objects of outputs in a DVC cache; a corrupt one is moved out of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

from retrain.errors import CorruptCacheError, DvcLockError
from retrain.work.dvc.outputs import CachedObject, Output


def objects_of(outputs: Iterable[Output], cache: Path) -> list[CachedObject]:
    """The objects of those outputs that DVC stores, each once, by MD5. A directory gives its listing and its files.

    Raises:
        DvcLockError: the listing of a directory is not in the cache, so that its files are unknown.
        CorruptCacheError: the listing of a directory has wrong content. It is put aside.
    """
    objects: dict[str, CachedObject] = {}
    for output in outputs:
        if not output.stored:
            continue
        own = output.item
        objects.setdefault(own.md5, own)
        if output.md5.endswith(".dir"):
            for member in _listing(cache / own.key, output):
                path = f"{output.path}/{member['relpath']}"
                objects.setdefault(member["md5"], CachedObject(member["md5"], output.stage, path))
    return [objects[md5] for md5 in sorted(objects)]


def changed_file(output: Output, checkout: Path, cache: Path) -> str | None:
    """The first file of an output that has other content than its MD5 says, or is missing; None if there is none. Further files are no matter.

    Raises:
        DvcLockError, CorruptCacheError: as for `objects_of`.
    """
    if not output.md5.endswith(".dir"):
        return None if _has(checkout / output.path, cache / output.item.key, output.md5) else output.path
    members = {f"{output.path}/{each['relpath']}": each["md5"] for each in _listing(cache / output.item.key, output)}
    for path, md5 in members.items():
        if not _has(checkout / path, cache / CachedObject(md5, output.stage, path).key, md5):
            return path
    return None


def _has(path: Path, cached: Path, md5: str) -> bool:
    if not path.is_file() or path.stat().st_size != cached.stat().st_size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == md5


def _listing(path: Path, output: Output) -> list[dict[str, str]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DvcLockError(
            f"The listing {output.md5} of {output.path} (stage {output.stage}) is not in the cache ({error}). Clear reproduce."
        ) from error
    # A corrupt listing names other files than the directory has, and DVC never checks it.
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != output.item.checksum:
        put_aside(path)
        raise CorruptCacheError(
            f"The listing of {output.path} (stage {output.stage}, {output.item.key}) in the cache is not what its name says. "
            "It was put aside as *.corrupt-*, nothing was sent. Clear reproduce: the stage that made it runs again. Check the disk."
        )
    listing: list[dict[str, str]] = json.loads(content)
    return listing


def put_aside(path: Path) -> None:
    """Rename a corrupt object, so that it is out of the cache and its bytes are kept for an examination of the disk."""
    path.rename(path.with_suffix(f".corrupt-{time.time_ns()}"))
