"""Packs the Git mirrors of the deployed pipelines. No object is removed: workspaces borrow them, and a tag may have been moved."""

from __future__ import annotations

from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below
from retrain.services import Services
from retrain.work import git


def clean(run: HousekeepingRun) -> Cleaned:
    """Pack the mirror of each deployed pipeline, which has one pack for each release that was fetched.

    Raises:
        HousekeepingError: Git failed for a pipeline.
    """

    def pack(known: Services) -> CleanedPlace:
        mirror = run.home / "git" / f"{known.pipeline}.git"
        was = amount(files_below(mirror))
        if run.dry_run or not mirror.exists():
            note = "Git does not say in advance what packing would free" if was.files else ""
            return CleanedPlace(known.pipeline, Amount(), was, note)
        git.pack(mirror)
        stays = amount(files_below(mirror))
        return CleanedPlace(known.pipeline, was.shrunk_to(stays), stays)

    return run.each_pipeline(pack)
