"""Removes from the DVC caches what neither a kept day nor a workspace needs."""

from __future__ import annotations

from functools import partial

from retrain.housekeeping import dvc_objects, kept_days, workspaces
from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import StoredFile, amount, files_below, remove, remove_empty_folders
from retrain.services import Services
from retrain.work import pipeline_caches

BUSY = "a run was being reproduced, so nothing was removed"
NOTHING_RECORDED = "no day is recorded yet, so nothing was removed"


def clean(run: HousekeepingRun) -> Cleaned:
    """Clean the DVC cache of each deployed pipeline. Everything that is removed is on the remote, or can be computed again.

    Raises:
        HousekeepingError: a pipeline was not cleaned, for example because its ledger could not be read.
    """
    return run.each_pipeline(partial(_clean, run))


def to_remove(run: HousekeepingRun, known: Services) -> list[StoredFile] | None:
    """The files of a pipeline's DVC cache that nothing needs; None if no day is recorded.

    Raises:
        LedgerUnreadableError: the ledger cannot be read whole.
        DvcLockError: the dvc.lock of a workspace cannot be read.
    """
    kept = kept_days.records(known.ledger, known.pipeline, run.limits.keep_days)
    if not kept:
        return None
    cache = pipeline_caches.dvc_cache(known.pipeline)
    named = kept_days.objects(kept, known.ledger) | workspaces.objects(workspaces.of_pipeline(run.home, known.pipeline))
    needed = dvc_objects.with_members(named, partial(dvc_objects.members, cache))
    folder = cache / "files" / "md5"
    return dvc_objects.removable(files_below(folder), folder, needed, run.days_ago(dvc_objects.YOUNG_DAYS))


def _clean(run: HousekeepingRun, known: Services) -> CleanedPlace:
    folder = pipeline_caches.dvc_cache(known.pipeline) / "files" / "md5"
    with pipeline_caches.try_alone(known.pipeline) as alone:
        all_of_it = amount(files_below(folder))
        files = to_remove(run, known) if alone else []
        if not alone or files is None:
            return CleanedPlace(known.pipeline, Amount(), all_of_it, NOTHING_RECORDED if alone else BUSY)
        freed = remove(files, dry_run=run.dry_run)
        if not run.dry_run:
            remove_empty_folders(folder, run.now.timestamp())
    return CleanedPlace(known.pipeline, freed, all_of_it - freed)
