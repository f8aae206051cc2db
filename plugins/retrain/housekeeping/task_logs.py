"""Removes old logs of tasks and of the dag-processor, and the folders that are empty then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from retrain.housekeeping.cleaned import Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below, remove, remove_empty_folders


def clean(run: HousekeepingRun, folders: Sequence[Path]) -> Cleaned:
    """Remove the logs that were last written to `task_logs_days` ago, in the folders that this worker's Airflow logs to.

    Raises:
        OSError: a file cannot be removed.
    """
    before = run.days_ago(run.limits.task_logs_days)
    places = []
    for folder in folders:
        files = list(files_below(folder))
        freed = remove([file for file in files if file.written < before], dry_run=run.dry_run)
        if not run.dry_run:
            remove_empty_folders(folder, run.now.timestamp())
        places.append(CleanedPlace(str(folder), freed, amount(files) - freed))
    return run.cleaned(places)
