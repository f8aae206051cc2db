"""The workspaces on the volume: what they need in the caches, and the removal of abandoned ones."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from retrain.errors import DvcLockError, HousekeepingError, RecordError
from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below, unless_gone
from retrain.run.manifest import Manifest
from retrain.store.ledger import ENVIRONMENT
from retrain.work import workspace
from retrain.work.dvc.description import Description
from retrain.work.dvc.dvc_lock import dvc_lock_outputs
from retrain.work.environments import frozen
from retrain.work.workspace import Workspace

log = logging.getLogger(__name__)

_OF_REBUILD = re.compile(r"rebuild-[a-z0-9_]{8}")  # as tempfile names it


def clean(run: HousekeepingRun) -> Cleaned:
    """Remove the workspaces that no task has used for `workspaces_days`, also those of pipelines that are not deployed.

    Folders that a killed `make rebuild` has left go after the same time.

    Raises:
        HousekeepingError: some could not be removed. All others were.
    """
    before = run.days_ago(run.limits.workspaces_days)
    failed: list[OSError] = []
    places = []
    for folder in _folders(run.home / "workspaces"):
        whole, freed = amount(files_below(folder)), Amount()
        for each in workspace.abandoned(folder, before):
            try:
                freed += _remove(each, before, dry_run=run.dry_run)
            except OSError as error:
                failed.append(error)
        places.append(CleanedPlace(folder.name, freed, whole - freed))
    freed = Amount()
    for folder in (path for path in _folders(run.home) if _OF_REBUILD.fullmatch(path.name)):
        try:
            freed += _remove_left_behind(folder, before, dry_run=run.dry_run)
        except OSError as error:
            failed.append(error)
    places.append(CleanedPlace("make rebuild", freed, Amount()))
    result = run.cleaned(places)
    if failed:
        raise HousekeepingError(
            f"{len(failed)} of the abandoned runs could not be removed, the first because of {failed[0]}. The others were: {result.line()} "
            "Let the user of the workers remove them."
        ) from failed[0]
    return result


def _remove(abandoned: Path, before: float, *, dry_run: bool) -> Amount:
    """Remove the workspaces of a run, and return how much that freed."""
    size = amount(files_below(abandoned))
    if workspace.newest_use(abandoned) >= before:  # while its files were counted, a task of its run was cleared
        return Amount()
    log.info("%s is abandoned", abandoned)
    if not dry_run:
        workspace.remove_folder(abandoned)
    return size


def _remove_left_behind(folder: Path, before: float, *, dry_run: bool) -> Amount:
    """Remove the folder of a `make rebuild` that has written nothing since `before`, and return how much that freed."""
    files = list(files_below(folder))
    if folder.stat().st_mtime >= before or any(file.written >= before for file in files):
        return Amount()
    if not dry_run:
        shutil.rmtree(folder)
    return amount(files)


def of_pipeline(home: Path, pipeline: str) -> list[Workspace]:
    """All workspaces of a pipeline that exist."""
    runs = _folders(home / "workspaces" / pipeline)
    return [Workspace(attempt) for run in runs for attempt in _folders(run)]


def objects(places: list[Workspace]) -> frozenset[str]:
    """The MD5s that a dvc.lock in one of these workspaces names, and those of the tracked data that its stages have read.

    Raises:
        DvcLockError: one cannot be read, so it is not known what it needs.
        DescriptionError: a description cannot be read.
        OSError: a folder cannot be read.
    """
    found: set[str] = set()
    for lock in (lock for place in places for lock in _locks(place.checkout)):
        text = _text(lock)
        try:
            found |= {md5 for _, _, md5 in dvc_lock_outputs(text)}
        except DvcLockError as error:
            raise DvcLockError(f"{lock}: {error} If its run has ended, remove the workspace.") from error
    for path in (place.description for place in places):
        if text := _text(path):
            found |= {output.md5 for output in Description.from_json(text, str(path)).tracked_outputs}
    return frozenset(found)


def manifests(places: list[Workspace]) -> list[Manifest]:
    """The manifests that these workspaces read.

    Raises:
        RecordError: one is not a manifest.
    """
    found = []
    for path in (place.run_folder / "manifest.json" for place in places):
        if text := _text(path):
            try:
                found.append(Manifest.from_json(text.encode(), str(path)))
            except RecordError as error:
                raise RecordError(f"{error} If its run has ended, remove the workspace.") from error
    return found


def environments(places: list[Workspace]) -> frozenset[str]:
    """The identities of the environments that these workspaces were reproduced in."""
    texts = (_text(place.path / ENVIRONMENT) for place in places)
    return frozenset(frozen.identity(text.encode()) for text in texts if text)


def _locks(checkout: Path) -> Iterator[Path]:
    for below, _, names in os.walk(checkout, onerror=unless_gone):
        if "dvc.lock" in names:
            yield Path(below, "dvc.lock")


def _text(path: Path) -> str:
    """The content of a file; empty if there is none: the run has not written it yet, or has just removed its workspace."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(each for each in path.iterdir() if each.is_dir())
    except FileNotFoundError:
        return []
