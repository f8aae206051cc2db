"""Removes files that were put aside for people to look at: corrupt objects of the DVC caches, and files that the watch refused."""

from __future__ import annotations

import re

from retrain.alerts.tell import folder as alerts_folder
from retrain.housekeeping.cleaned import Cleaned, CleanedPlace
from retrain.housekeeping.dvc_objects import CORRUPT
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import StoredFile, amount, files_below, remove

_WHEN = re.compile(re.escape(CORRUPT) + r"(\d+)$")
_NANOSECONDS = 10**9


def clean(run: HousekeepingRun) -> Cleaned:
    """Remove corrupt objects after `corrupt_days`, and files that the watch could not read after `garbage_days`.

    The watch itself removes old incidents and pictures.

    Raises:
        HousekeepingError: some files could not be removed. All others were.
    """
    corrupt = [file for file in files_below(run.home / "cache") if CORRUPT in file.path.name]
    alerts = alerts_folder()
    garbage = [
        *files_below(alerts / "outbox" / "garbage"),
        *(f for f in files_below(alerts) if f.path.suffix == ".broken"),
    ]
    found = {
        "corrupt objects": (corrupt, run.days_ago(run.limits.corrupt_days)),
        "files that the watch refused": (garbage, run.days_ago(run.limits.garbage_days)),
    }
    places = []
    for name, (files, before) in found.items():
        freed = remove([file for file in files if put_aside_at(file) < before], dry_run=run.dry_run)
        places.append(CleanedPlace(name, freed, amount(files) - freed))
    return run.cleaned(places)


def put_aside_at(file: StoredFile) -> float:
    """When a file was put aside, in seconds since the epoch. A corrupt object has the time in its name; it was written long before."""
    named = _WHEN.search(file.path.name)
    return int(named[1]) / _NANOSECONDS if named else file.written
