"""Removes caches and Git mirrors of pipelines that have no file any more."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Set as AbstractSet
from pathlib import Path

from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below
from retrain.work import git

log = logging.getLogger(__name__)


def clean(run: HousekeepingRun) -> Cleaned:
    """Remove the folders of pipelines that are not deployed, have no workspace, and wrote nothing for `keep_days` days.

    Raises:
        OSError: a file cannot be removed.
    """
    before = run.days_ago(run.limits.keep_days)
    there = {path.stem for folder in ("cache", "raw", "git") for path in _folders(run.home / folder)}
    working = {path.name for path in _folders(run.home / "workspaces") if any(path.iterdir())}
    places = []
    for name in sorted(retired(there, run.services.keys() | run.broken.keys(), working)):
        folders = [path for path in _of_pipeline(run.home, name) if path.is_dir()]
        size = sum((amount(files_below(path)) for path in folders), Amount())
        if any(file.written >= before for path in folders for file in files_below(path)):
            places.append(
                CleanedPlace(name, Amount(), size, f"not deployed, but it wrote within {run.limits.keep_days} days")
            )
            continue
        for path in folders if not run.dry_run else ():
            log.info("%s belongs to no deployed pipeline", path)
            git.remove_mirror(path) if path.suffix == ".git" else shutil.rmtree(path)
        places.append(CleanedPlace(name, size, Amount()))
    return run.cleaned(places)


def retired(there: AbstractSet[str], deployed: AbstractSet[str], working: AbstractSet[str]) -> AbstractSet[str]:
    """The pipelines with folders on the volume that are neither deployed nor have a workspace."""
    return there - deployed - working


def _of_pipeline(home: Path, name: str) -> tuple[Path, ...]:
    return home / "cache" / name, home / "raw" / name, home / "git" / f"{name}.git"


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []
