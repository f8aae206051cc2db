"""Packs the Git mirrors, and removes those of origins that no pipeline has any more.

No object of a mirror that stays is removed: workspaces borrow them, and a tag may have been moved.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from retrain.errors import HousekeepingError, RetrainError
from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below
from retrain.work import mirrors

log = logging.getLogger(__name__)

_ALTERNATES = "objects/info/alternates"


def clean(run: HousekeepingRun) -> Cleaned:
    """Remove the mirrors that no pipeline's file names, no workspace borrows from, and no run has used for `keep_days` days.

    The mirrors of submodules are named by no file: they stay as long as they are used. All others are packed: each has one pack for
    each release that was fetched.

    Raises:
        HousekeepingError: some mirrors were not cleaned; it names each with its reason.
    """
    named = {mirrors.mirror_name(known.deployment.repository.url) for known in run.services.values()}
    borrowed = set(_borrowed(run.home / "workspaces"))
    before = run.days_ago(run.limits.keep_days)
    places: list[CleanedPlace] = []
    failed: dict[str, Exception] = {}
    for head in sorted(run.home.glob("git/*.git/HEAD")):
        mirror = head.parent
        # A file that cannot be read could name any of them.
        keep = bool(run.broken) or mirror.name in named or mirror.resolve() in borrowed or _used(mirror) >= before
        try:
            places.append(_packed(run, mirror) if keep else _removed(run, mirror, before))
        except (RetrainError, OSError) as error:  # the others are cleaned first
            log.exception("%s is not cleaned", mirror)
            failed[mirror.name] = error
    result = run.cleaned(places)
    if failed:
        reasons = " ".join(f"{name}: {str(error).rstrip('.')}." for name, error in failed.items())
        raise HousekeepingError(
            f"{len(failed)} Git mirrors were not cleaned. {reasons} Of the others: {result.line()}"
        ) from next(iter(failed.values()))
    return result


def _packed(run: HousekeepingRun, mirror: Path) -> CleanedPlace:
    was = amount(files_below(mirror))
    if run.dry_run:
        return CleanedPlace(mirror.stem, Amount(), was, "Git does not say in advance what packing would free")
    mirrors.pack(mirror)
    stays = amount(files_below(mirror))
    return CleanedPlace(mirror.stem, was.shrunk_to(stays), stays)


def _removed(run: HousekeepingRun, mirror: Path, before: float) -> CleanedPlace:
    size = amount(files_below(mirror))
    if run.dry_run:
        return CleanedPlace(mirror.stem, size, Amount())
    log.info("no pipeline's file names the origin of %s, and nothing has used it", mirror)
    gone = mirrors.remove_unused(mirror, before)
    return CleanedPlace(mirror.stem, size, Amount()) if gone else CleanedPlace(mirror.stem, Amount(), size)


def _used(mirror: Path) -> float:
    return (mirror / "HEAD").stat().st_mtime


def _borrowed(workspaces: Path) -> Iterator[Path]:
    """The mirrors whose objects a checkout in a workspace borrows, or one of its submodules."""
    for below, folders, _ in os.walk(workspaces):
        if ".git" in folders:
            folders.remove(".git")
            with suppress(FileNotFoundError):  # its run has just removed it, or it borrows nothing
                for line in Path(below, ".git", _ALTERNATES).read_text(encoding="utf-8").splitlines():
                    yield Path(line).resolve().parent
