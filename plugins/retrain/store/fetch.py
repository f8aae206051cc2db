"""Any recorded day again, byte for byte, from nothing but the bucket and the Git origin."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from retrain.archive import entry, recorded_environment
from retrain.deployment.pipeline_file import Repository
from retrain.errors import DiskFullError, GoneError, RestoreTargetError, TamperedError
from retrain.run.release import Release
from retrain.run.run_record import RunRecord
from retrain.store.ledger import Ledger
from retrain.store.receipt import names
from retrain.store.remote import Remote
from retrain.work import git
from retrain.work.dvc.description import CachedObject, Output

_AT_ONCE = 8
_ALL_MAY_RUN = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_HEADROOM = 64 * 2**20  # bytes, for the checkout itself

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Restored:
    """What a restore wrote: files and bytes of outputs, each verified; where the environment is."""

    path: Path
    files: int
    bytes: int
    environment: Path | None


@dataclass(frozen=True)
class File:
    """One file of an output: where it goes, the object that it comes from, and whether it may be run."""

    path: str
    item: CachedObject
    executable: bool = False


def restore(
    record: RunRecord,
    ledger: Ledger,
    remote: Remote,
    repository: Repository,
    to: Path,
    *,
    mirror: Path,
    environments: Path | None,
    progress: Progress = lambda _done, _total: None,
) -> Restored:
    """Put a recorded run into the empty folder `to`: code, run.yaml, manifest.json, dvc.lock, every output, its environment.

    Args:
        repository: where its release is.
        mirror: where the origin's mirror is, or goes.
        environments: where environments are built; None leaves the environment out.
        progress: told files done and files in all.

    Raises:
        RestoreTargetError: `to` is not empty. DiskFullError: it would not fit. GoneError: objects are not on the remote; each is
            named by path. EnvironmentGoneError: a package of the environment is not to be had any more; with `environments` None
            all else can be. All four before anything is written.
        TamperedError: an object has another content.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RestoreTargetError(f"{to} is not an empty folder. Nothing was written. Name another DEST.")
    existing = next(parent for parent in [to, *to.parents] if parent.exists())
    free, needed = shutil.disk_usage(existing).free, 2 * record.size + _HEADROOM
    if free < needed:
        raise DiskFullError(
            f"{existing} has {free:,} bytes free, {record.partition} needs {needed:,}. Nothing was written."
        )
    outputs = entry.outputs(record, ledger)
    files = require_files(remote, outputs)
    built = None
    if (
        environments is not None
    ):  # first, so that a package that is gone leaves the folder empty for another try without it
        built = recorded_environment.provide(record, ledger, repository, environments)
    bare = git.mirror(repository.url, Release(record.release, record.commit), mirror)
    git.checkout(bare, record.commit, to, standalone=True)
    for name in ("run.yaml", "manifest.json", "dvc.lock"):
        (to / name).write_bytes(ledger.file(record, name))
    size = fetch(remote, outputs, files, to, progress)
    if built is not None:
        (to / ".venv").symlink_to(built.path)
    return Restored(to, len(files), size, built.path if built else None)


def require_files(remote: Remote, outputs: Sequence[Output]) -> list[File]:
    """The files of these outputs, all of which are on the remote.

    Raises:
        GoneError: objects are not; each is named by path. TamperedError: a folder's listing has another content.
    """
    files, gone = list_files(remote, outputs)
    seen = remote.look(file.item.key for file in files)
    gone += [file.item for file in files if file.item.key not in seen]
    if gone:
        raise GoneError(
            f"{len(gone)} objects are not on {remote.url} any more: {names(gone, most=None)}. A folder's listing stands for all its files. "
            "If the bucket keeps versions, bring them back there; else recompute the day: make replay"
        )
    return files


def fetch(
    remote: Remote,
    outputs: Sequence[Output],
    files: Sequence[File],
    to: Path,
    progress: Progress = lambda _done, _total: None,
) -> int:
    """Fetch the files of these outputs into `to` and its DVC cache, each verified; returns their bytes.

    Raises:
        TamperedError: an object has another content.
    """
    # The same content may stand in several places: it is fetched once.
    objects: dict[str, tuple[CachedObject, list[File]]] = {
        output.item.key: (output.item, []) for output in outputs if output.md5.endswith(".dir")
    }
    for file in files:
        objects.setdefault(file.item.key, (file.item, []))[1].append(file)
    size = done = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        fetched = pool.map(lambda one: _fetch(remote, one[0], one[1], to), objects.values())
        for (_, own), written in zip(objects.values(), fetched, strict=True):
            size, done = size + written, done + len(own)
            progress(done, len(files))
    return size


def list_files(remote: Remote, outputs: Sequence[Output]) -> tuple[list[File], list[CachedObject]]:
    """The files of these outputs, and the listings of folders that are gone.

    Folders are expanded by their listings from the remote, which are verified: TamperedError otherwise.
    """
    folders = [output.item for output in outputs if output.md5.endswith(".dir")]
    seen = remote.look(folder.key for folder in folders)
    files = [File(output.path, output.item, output.executable) for output in outputs if not output.md5.endswith(".dir")]
    for folder in folders:
        if folder.key in seen:
            for entry in json.loads(_content(remote, folder)):
                path = f"{folder.path}/{entry['relpath']}"
                files.append(File(path, CachedObject(entry["md5"], folder.stage, path)))
    return files, [folder for folder in folders if folder.key not in seen]


def _content(remote: Remote, item: CachedObject) -> bytes:
    content = remote.read(item.key)
    _require(item, hashlib.md5(content, usedforsecurity=False).hexdigest(), remote)
    return content


def _require(item: CachedObject, md5: str, remote: Remote) -> None:
    if md5 != item.checksum:
        raise TamperedError(
            f"{names([item])} on {remote.url} is not the content that was recorded. Do not use it; make replay recomputes it."
        )


def _fetch(remote: Remote, item: CachedObject, files: Sequence[File], to: Path) -> int:
    """Fetch one object into the restored checkout's own DVC cache, so that DVC finds the day complete, and copy it to its files."""
    cached = to / ".dvc" / "cache" / item.key
    cached.parent.mkdir(parents=True, exist_ok=True)
    try:
        _require(item, remote.download(item.key, cached), remote)
    except TamperedError:
        cached.unlink()  # DVC would take it on trust
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
