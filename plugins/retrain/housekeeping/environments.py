"""Removes installed environments and remembered resolutions that nothing has used for long, and prunes uv's cache."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

from retrain.errors import HousekeepingError, RetrainError
from retrain.housekeeping import kept_days, workspaces
from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below, remove
from retrain.work.dvc.program import DEPLOYMENT_DVC
from retrain.work.environments import environment, frozen, resolution, uv

log = logging.getLogger(__name__)

_INSTALLED = re.compile(r"[0-9a-f]{32}")


def clean(run: HousekeepingRun) -> Cleaned:
    """Remove what is unused in the writable folder of environments. The folder of the worker's image is never touched.

    Nothing is removed while the file of a pipeline cannot be read.

    Raises:
        LedgerUnreadableError: it is not known which environments the kept days need.
        HousekeepingError: uv's cache was not pruned, or files could not be removed. The rest was cleaned.
        OSError: a file cannot be removed.
    """
    folder = run.home / "environments"
    shipped = os.environ.get("RETRAIN_ENVIRONMENTS")
    if shipped and folder.exists() and Path(shipped).exists() and folder.samefile(shipped):
        return run.cleaned([CleanedPlace(folder.name, Amount(), Amount(), "the folder is RETRAIN_ENVIRONMENTS")])
    if run.broken:
        why = f"it is not known what {', '.join(sorted(run.broken))} needs: the file cannot be read"
        return run.cleaned([CleanedPlace(folder.name, Amount(), amount(files_below(folder)), why)])
    before = run.days_ago(run.limits.environments_days)
    installed = _installed(folder)
    going = unused(
        {path.name: environment.last_use(path) for path in installed},
        {one[:32] for one in _needed(run, folder)},
        before,
    )
    freed = stays = Amount()
    for path in installed:
        size = amount(files_below(path))
        if path.name in going and (run.dry_run or environment.remove_unused(path, before)):
            log.info("%s is not used", path)
            freed += size
        else:
            stays += size
    forgotten = [
        file
        for file in files_below(folder / resolution.RESOLVED)
        if _is_old_resolution(file.path, file.written, before)
    ]
    remembered = amount(files_below(folder / resolution.RESOLVED))
    forgetting = remove(forgotten, dry_run=run.dry_run)
    places = [
        CleanedPlace("installed", freed, stays),
        CleanedPlace("resolutions", forgetting, remembered - forgetting),
    ]
    try:
        places.append(_prune_uv(run, packages=freed.files > 0))
    except RetrainError as error:
        result = run.cleaned(places)
        raise HousekeepingError(f"{error} The environments were cleaned: {result.line()}") from error
    return run.cleaned(places)


def unused(last_uses: dict[str, float], needed: AbstractSet[str], before: float) -> set[str]:
    """The names of the environments that go: not needed, and not used since `before` (seconds since the epoch)."""
    return {name for name, used in last_uses.items() if name not in needed and used < before}


def _installed(folder: Path) -> list[Path]:
    found: Iterable[Path] = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if _INSTALLED.fullmatch(path.name) and path.is_dir() and not path.is_symlink())


def _needed(run: HousekeepingRun, folder: Path) -> set[str]:
    """The identities of the environments of kept days, of workspaces and of the deployment's own DVC."""
    found: set[str] = set()
    for known in run.services.values():
        found |= {
            record.environment for record in kept_days.records(known.ledger, known.pipeline, run.limits.keep_days)
        }
        found |= workspaces.environments(workspaces.of_pipeline(run.home, known.pipeline))
    own = resolution.remembered(DEPLOYMENT_DVC, folder)
    return found | ({frozen.identity(own.encode())} if own else set())


def _is_old_resolution(path: Path, used: float, before: float) -> bool:
    return path.suffix != ".lock" and used < before  # also one that was half-written


def _prune_uv(run: HousekeepingRun, *, packages: bool) -> CleanedPlace:
    """Prune uv's cache if it is on the shared volume; with `packages` also the downloaded ones, which only the removed may need."""
    if not uv.is_there():
        return CleanedPlace("uv's cache", Amount(), Amount(), "this worker has no uv")
    cache = uv.cache()
    if not cache.resolve().is_relative_to(run.home.resolve()):
        return CleanedPlace("uv's cache", Amount(), Amount(), f"{cache} is not on the shared volume")
    was = amount(files_below(cache))
    if run.dry_run:
        return CleanedPlace("uv's cache", Amount(), was, "uv does not say in advance what it would remove")
    uv.prune_cache(packages=packages)
    stays = amount(files_below(cache))
    return CleanedPlace("uv's cache", was.shrunk_to(stays), stays)
