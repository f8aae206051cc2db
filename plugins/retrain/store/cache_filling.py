"""Objects of tracked data in a DVC cache: checked by their MD5, and completed from our remote. Wrong ones are put aside."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from retrain.store import s3
from retrain.store.cached_objects import put_aside
from retrain.store.remote import Remote, md5_of
from retrain.work.dvc.outputs import CachedObject

log = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE = 4  # files whose MD5 is computed at the same time
_HELD = -1  # instead of a size: the cache had the object


def holds(item: CachedObject, cache: Path) -> bool:
    """True if a cache has an output with all its files, each with its content. A wrong one is put aside."""
    return _good(item, cache) and all(_each(lambda each: _good(each, cache), _members(item, cache), _AT_ONCE))


def fill_from_store(item: CachedObject, remote: Remote, cache: Path) -> tuple[int, int] | None:
    """Complete an output in a cache from our remote; returns the number and the bytes of the files that were fetched.

    None if the remote does not have all of it.

    Raises:
        StoreError: S3 refused a request or did not answer.
    """
    fetched = _fetch(item, remote, cache)
    if fetched is None:
        return None
    found = _each(lambda each: _fetch(each, remote, cache), _members(item, cache), s3.AT_ONCE)
    if None in found:
        return None
    sizes = [size for size in (found or [fetched]) if size is not None and size != _HELD]
    return len(sizes), sum(sizes)


def store_has(item: CachedObject, remote: Remote) -> bool:
    """True if our remote has an output with all its files.

    Raises:
        StoreError: S3 refused a request or did not answer.
    """
    listing = remote.find(item.key) if item.md5.endswith(".dir") else b"[]"
    if listing is None:
        return False
    keys = {each.key for each in _listed(item, listing)} or {item.key}
    return len(remote.look(keys)) == len(keys)


def fill_from_folder(item: CachedObject, folder: Path, cache: Path) -> CachedObject | None:
    """Move an output from a folder with the form of a cache into a cache; returns the first object whose content is wrong or absent.

    Nothing is moved then.
    """
    if not _good(item, folder):
        return item
    objects = [item, *_members(item, folder)]
    good = _each(lambda each: _good(each, folder) or _good(each, cache), objects, _AT_ONCE)
    wrong = next((each for each, is_good in zip(objects, good, strict=True) if not is_good), None)
    if wrong is None:
        for each in reversed(objects):  # the listing last: with it the output counts as there
            _move(folder / each.key, cache / each.key)
    return wrong


def _good(item: CachedObject, cache: Path) -> bool:
    path = cache / item.key
    if not path.is_file():
        return False
    if md5_of(path) == item.checksum:
        return True
    log.warning("%s in the cache is not what its name says: it is put aside as *.corrupt-*", item.key)
    put_aside(path)
    return False


def _fetch(item: CachedObject, remote: Remote, cache: Path) -> int | None:
    """Fetch one object; returns its size, _HELD if the cache has it, None if the remote does not."""
    if _good(item, cache):
        return _HELD
    if remote.details(item.key) is None:
        return None
    target = cache / item.key
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".fetching-") as folder:
        path = Path(folder) / "object"
        if remote.download(item.key, path) != item.checksum:
            log.warning("%s on %s is not what its name says, so it is not used", item.key, remote.url)
            return None
        size = path.stat().st_size
        _move(path, target)
    return size


def _move(path: Path, target: Path) -> None:
    if path.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o444)
        path.replace(target)


def _members(item: CachedObject, cache: Path) -> list[CachedObject]:
    """The files of a directory whose listing is in the cache with its content, each content once; none of a file."""
    return _listed(item, (cache / item.key).read_bytes()) if item.md5.endswith(".dir") else []


def _listed(item: CachedObject, listing: bytes) -> list[CachedObject]:
    found: dict[str, CachedObject] = {}
    for member in json.loads(listing):
        md5 = str(member["md5"])
        found.setdefault(md5, CachedObject(md5, item.stage, f"{item.path}/{member['relpath']}"))
    return list(found.values())


def _each(work: Callable[[CachedObject], T], items: Iterable[CachedObject], at_once: int) -> list[T]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(work, items))
