"""Removes caches and ledger indexes of pipelines that have no file any more."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Set as AbstractSet
from pathlib import Path

from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.dvc_caches import BUSY
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below, remove
from retrain.work import pipeline_caches

log = logging.getLogger(__name__)


def clean(run: HousekeepingRun) -> Cleaned:
    """Remove the folders of pipelines that are not deployed, have no workspace, and wrote nothing for `keep_days` days.

    Only a folder `cache` in our own layout tells of a pipeline, so that folders of other owners are never removed.

    Raises:
        OSError: a file cannot be removed.
    """
    before = run.days_ago(run.limits.keep_days)
    there = {path.parents[1].name for path in run.home.glob("cache/*/files/md5")}
    working = {path.name for path in _folders(run.home / "workspaces") if any(path.iterdir())}
    places = []
    for name in sorted(retired(there, run.services.keys() | run.broken.keys(), working)):
        with pipeline_caches.try_alone(name) as alone:
            places.append(_clean(run, name, before) if alone else CleanedPlace(name, Amount(), Amount(), BUSY))
    return run.cleaned(places)


def _clean(run: HousekeepingRun, name: str, before: float) -> CleanedPlace:
    folders = [path for path in _of_pipeline(run.home, name) if path.is_dir() and not path.is_symlink()]
    indexes = [file for file in files_below(run.home / "index") if file.path.name.startswith(f"{name}-")]
    files = [*indexes, *(file for path in folders for file in files_below(path))]
    size = amount(files)
    if any(file.written >= before for file in files):
        return CleanedPlace(name, Amount(), size, f"not deployed, but it wrote within {run.limits.keep_days} days")
    remove(indexes, dry_run=run.dry_run)
    for path in folders if not run.dry_run else ():
        log.info("%s belongs to no deployed pipeline", path)
        shutil.rmtree(path)
    return CleanedPlace(name, size, Amount())


def retired(there: AbstractSet[str], deployed: AbstractSet[str], working: AbstractSet[str]) -> AbstractSet[str]:
    """The pipelines with folders on the volume that are neither deployed nor have a workspace."""
    return there - deployed - working


def _of_pipeline(home: Path, name: str) -> tuple[Path, ...]:
    """The raw cache comes first, because it alone does not tell of a pipeline."""
    return home / "raw" / name, home / "cache" / name


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []
