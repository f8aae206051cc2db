"""Removes raw objects that neither a kept day nor a workspace reads from the caches in which stages keep them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import partial

from retrain.housekeeping import dvc_objects, kept_days, workspaces
from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.dvc_caches import BUSY, NOTHING_RECORDED
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import StoredFile, amount, files_below, remove, remove_empty_folders
from retrain.run.manifest import Manifest
from retrain.services import Services
from retrain.work import pipeline_caches

_NAMED = re.compile(r"[0-9a-f]{32}(-\d+)?-\d+")


def clean(run: HousekeepingRun) -> Cleaned:
    """Clean the raw cache of each deployed pipeline. The objects are in the raw bucket.

    Raises:
        HousekeepingError: a pipeline was not cleaned, for example because its ledger could not be read.
    """
    return run.each_pipeline(partial(_clean, run))


def names(manifests: Iterable[Manifest]) -> frozenset[str]:
    """The names `<etag>-<size>` of the raw objects that these manifests name."""
    return frozenset(pipeline_caches.raw_name(item) for manifest in manifests for item in manifest.objects)


def removable(
    files: Iterable[StoredFile], needed: AbstractSet[str], *, young: float, unnamed: float
) -> list[StoredFile]:
    """The files that go.

    Args:
        files: all files of a raw cache.
        needed: the names `<etag>-<size>` of files that stay, with the digests beside them.
        young: files that were written after this moment (seconds since the epoch) stay.
        unnamed: a pipeline may name its files in another way; those stay until this moment.
    """
    return [
        file
        for file in files
        if file.path.name.removesuffix(pipeline_caches.RAW_DIGEST) not in needed
        and file.written < (young if _is_ours(file.path.name) else unnamed)
    ]


def _is_ours(name: str) -> bool:
    """True for a raw object, a digest of one, and one that a killed run has left half-written."""
    whole = _NAMED.fullmatch(name.removesuffix(pipeline_caches.RAW_DIGEST)) is not None
    return whole or name.startswith(pipeline_caches.RAW_DRAFT)


def _clean(run: HousekeepingRun, known: Services) -> CleanedPlace:
    folder = pipeline_caches.raw_cache(known.pipeline)
    with pipeline_caches.try_alone(known.pipeline) as alone:
        files = list(files_below(folder))
        kept = kept_days.records(known.ledger, known.pipeline, run.limits.keep_days) if alone else []
        if not kept:
            return CleanedPlace(known.pipeline, Amount(), amount(files), NOTHING_RECORDED if alone else BUSY)
        read = workspaces.manifests(workspaces.of_pipeline(run.home, known.pipeline))
        useless = removable(
            files,
            names([*kept_days.manifests(kept, known.ledger), *read]),
            young=run.days_ago(dvc_objects.YOUNG_DAYS),
            unnamed=run.days_ago(run.limits.keep_days),
        )
        freed = remove(useless, dry_run=run.dry_run)
        if not run.dry_run:
            remove_empty_folders(folder, run.now.timestamp())
    return CleanedPlace(known.pipeline, freed, amount(files) - freed)
