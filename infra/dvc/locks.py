"""The dvc.lock files that a release has committed: which DVC cannot read, and which of their entries no run uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo


def read_leniently(reason: Callable[[BaseException], str]) -> dict[str, str]:
    """Let DVC take a dvc.lock that it cannot read for one that is not there.

    Args:
        reason: makes a sentence of DVC's exception.

    Returns:
        a mapping that gets the reason for each such file, by its absolute path, as soon as DVC has tried to read it.
    """
    unreadable: dict[str, str] = {}
    read = Lockfile._load  # noqa: SLF001 - DVC has no public access to it, and its version is pinned

    def load(lock: Lockfile, **options: Any) -> tuple[Any, str]:
        try:
            content, text = read(lock, **options)
        except DvcException as error:
            unreadable[str(Path.cwd() / lock.path)] = reason(error)
            return {}, ""
        return content or {}, text

    Lockfile._load = load  # noqa: SLF001
    return unreadable


def described_locks(repo: Repo, stages: Iterable[Any], unreadable: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every dvc.lock of the checkout in which something does not fit its dvc.yaml, sorted by path.

    `unreadable` has DVC's reason for a file that it cannot read, else null. `alone` is true if its dvc.yaml has no stages. `gone` are
    entries without a stage, `old` those with an MD5 of DVC 2, `other` those with other outputs than the stage has now.
    """
    own: dict[str, list[Any]] = {}
    for stage in stages:
        own.setdefault(str(Path(stage.path).with_suffix(".lock")), []).append(stage)
    found = []
    for at, _, names in repo.dvcignore.walk(repo.fs, repo.root_dir):
        path = str(Path(at, "dvc.lock"))
        if "dvc.lock" not in names:
            continue
        entry = {
            "file": os.path.relpath(path, repo.root_dir),
            "unreadable": unreadable.get(path),
            "alone": path not in own,
            **entries(own.get(path, ())),
        }
        if any(entry[key] for key in ("unreadable", "alone", "gone", "old", "other")):
            found.append(entry)
    return sorted(found, key=lambda each: str(each["file"]))


def entries(stages: Iterable[Any]) -> dict[str, list[str]]:
    """The names of the entries that do not fit the stages of their dvc.yaml. Those of frozen stages are used, so they are not among them."""
    known = {stage.name: stage for stage in stages}
    locked: Mapping[str, Any] = {}
    for stage in known.values():
        locked = stage.dvcfile.lockfile_contents.get("stages") or {}
        break
    used = {name: entry for name, entry in locked.items() if name in known and not known[name].frozen}
    return {
        "gone": sorted(locked.keys() - known.keys()),
        "old": sorted(name for name, entry in used.items() if of_dvc_2(entry)),
        "other": sorted(name for name, entry in used.items() if paths(entry) != {o.def_path for o in known[name].outs}),
    }


def of_dvc_2(entry: Mapping[str, Any]) -> bool:
    """True if a dependency or output has an MD5 without `hash: md5`, as DVC 2 wrote it."""
    return any("md5" in item and "hash" not in item for key in ("deps", "outs") for item in entry.get(key, ()))


def paths(entry: Mapping[str, Any]) -> set[str]:
    return {str(out["path"]) for out in entry.get("outs", ())}
