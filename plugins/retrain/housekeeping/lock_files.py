"""Removes lock files that nobody has locked for long: there is one for each run, environment and resolution."""

from __future__ import annotations

from retrain.housekeeping.cleaned import Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below
from retrain.work.file_lock import remove_unlocked

_PLACES = {"locks": "*", "git": "*.lock", "environments": "*.lock", "environments/resolved": "*.lock"}


def clean(run: HousekeepingRun) -> Cleaned:
    """Remove the lock files that were last locked `workspaces_days` ago. One that is locked now stays.

    Raises:
        OSError: a file cannot be removed.
    """
    before = run.days_ago(run.limits.workspaces_days)
    places = []
    for name, pattern in _PLACES.items():
        folder = run.home / name
        files = [file for file in files_below(folder) if file.path.parent == folder and file.path.match(pattern)]
        old = [file for file in files if file.written < before]
        gone = old if run.dry_run else [file for file in old if remove_unlocked(file.path)]
        freed = amount(gone)
        places.append(CleanedPlace(name, freed, amount(files) - freed))
    return run.cleaned(places)
