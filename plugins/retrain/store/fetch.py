"""Fetching the files of a run's outputs from the DVC remote, each verified by its MD5."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import GoneError, TamperedError
from retrain.store import s3
from retrain.store.receipt import names
from retrain.store.remote import Remote
from retrain.work.dvc.outputs import CachedObject, Output

_ALL_MAY_RUN = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH

# Called with the number of items done and the number of all items.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class OutputFile:
    """One file of an output: its path in the checkout, the object that holds its bytes, and whether it is executable."""

    path: str
    item: CachedObject
    executable: bool = False


def list_files(remote: Remote, outputs: Sequence[Output]) -> tuple[list[OutputFile], list[CachedObject]]:
    """The files of these outputs, and the directory listings that are missing on the remote.

    A directory is expanded by its listing, which is read from the remote and verified.

    Raises:
        TamperedError: the listing of a directory has other content than was recorded.
    """
    folders = [output.item for output in outputs if output.md5.endswith(".dir")]
    seen = remote.look(folder.key for folder in folders)
    files = [
        OutputFile(output.path, output.item, output.executable) for output in outputs if not output.md5.endswith(".dir")
    ]
    for folder in folders:
        if folder.key in seen:
            files += [OutputFile(item.path, item) for item in members_of(folder, remote.read(folder.key), remote)]
    return files, [folder for folder in folders if folder.key not in seen]


def require_files(remote: Remote, outputs: Sequence[Output]) -> list[OutputFile]:
    """The files of these outputs, after a check that each of them is on the remote.

    Raises:
        GoneError: objects are missing; each is named by its path.
        TamperedError: the listing of a directory has other content than was recorded.
    """
    files, gone = list_files(remote, outputs)
    seen = remote.look(file.item.key for file in files)
    gone += [file.item for file in files if file.item.key not in seen]
    if gone:
        raise GoneError(
            f"{len(gone)} objects are not on {remote.url} any more: {names(gone, most=None)}. A folder's listing stands for all its files. "
            "If the bucket keeps versions, restore them there; else recompute the day: make replay"
        )
    return files


def fetch(
    remote: Remote,
    outputs: Sequence[Output],
    files: Sequence[OutputFile],
    to: Path,
    progress: Progress = lambda _done, _total: None,
) -> int:
    """Write the files of these outputs to the checkout `to` and to its own DVC cache; returns their size in bytes.

    Args:
        remote: the remote to read from.
        outputs: the outputs that the files belong to; the listings of directories go to the cache too.
        files: as `require_files` returns them.
        to: the folder of the checkout.
        progress: called with the files written so far and all files.

    Raises:
        TamperedError: an object has other content than was recorded, or its path leads out of `to`.
    """
    # Several files may have the same content: it is fetched once.
    objects: dict[str, tuple[CachedObject, list[OutputFile]]] = {
        output.item.key: (output.item, []) for output in outputs if output.md5.endswith(".dir")
    }
    for file in files:
        objects.setdefault(file.item.key, (file.item, []))[1].append(file)
    size = done = 0
    with ThreadPoolExecutor(s3.AT_ONCE) as pool:
        fetched = pool.map(lambda one: _fetch(remote, one[0], one[1], to), objects.values())
        for (_, own), written in zip(objects.values(), fetched, strict=True):
            size, done = size + written, done + len(own)
            progress(done, len(files))
    return size


def tampered(item: CachedObject, remote: Remote) -> TamperedError:
    """The error for an object whose content is not the recorded one."""
    return TamperedError(
        f"{names([item])} on {remote.url} is not the content that was recorded. Do not use it; make replay recomputes it."
    )


def members_of(folder: CachedObject, content: bytes, remote: Remote) -> list[CachedObject]:
    """The files in the listing of a directory, whose content is verified.

    Raises:
        TamperedError: it is not the recorded content.
    """
    _require(folder, hashlib.md5(content, usedforsecurity=False).hexdigest(), remote)
    return [
        CachedObject(member["md5"], folder.stage, f"{folder.path}/{member['relpath']}")
        for member in json.loads(content)
    ]


def _require(item: CachedObject, md5: str, remote: Remote) -> None:
    if md5 != item.checksum:
        raise tampered(item, remote)


def _fetch(remote: Remote, item: CachedObject, files: Sequence[OutputFile], to: Path) -> int:
    """Fetch one object into the checkout's DVC cache, where DVC finds it too, and copy it to its files."""
    cached = to / ".dvc" / "cache" / item.key
    cached.parent.mkdir(parents=True, exist_ok=True)
    try:
        _require(item, remote.download(item.key, cached), remote)
    except TamperedError:
        cached.unlink()  # DVC does not check what is in its cache
        raise
    for file in files:
        target = to / file.path
        if not target.resolve().is_relative_to(to.resolve()):
            raise TamperedError(f"{file.path} would be written outside {to}. Do not use this entry.")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(cached, target)
        if file.executable:
            target.chmod(target.stat().st_mode | _ALL_MAY_RUN)
    size = cached.stat().st_size
    cached.chmod(0o444)
    return size * len(files)
