"""Removes old logs of tasks and of the dag-processor, and the folders that are empty then."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from retrain.errors import HousekeepingError
from retrain.housekeeping.cleaned import Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import amount, files_below, remove, remove_empty_folders


def clean(run: HousekeepingRun, folders: Sequence[Path]) -> Cleaned:
    """Remove the logs that were last written to `task_logs_days` ago, in the folders that this worker's Airflow logs to.

    Raises:
        HousekeepingError: one of the folders holds more than logs, so nothing was removed; or files could not be removed.
        OSError: a folder cannot be read.
    """
    airflow = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow")
    require_only_logs(folders, (run.home, airflow, Path(__file__)))
    before = run.days_ago(run.limits.task_logs_days)
    places = []
    for folder in folders:
        files = list(files_below(folder))
        freed = remove([file for file in files if file.written < before], dry_run=run.dry_run)
        if not run.dry_run:
            remove_empty_folders(folder, run.now.timestamp())
        places.append(CleanedPlace(str(folder), freed, amount(files) - freed))
    return run.cleaned(places)


def require_only_logs(folders: Iterable[Path], others: Sequence[Path]) -> None:
    """Make sure that no folder of logs is one of `others` or a folder above one.

    Raises:
        HousekeepingError: one is: its old files are not all logs.
    """
    for folder in folders:
        held = [other for other in others if other.resolve().is_relative_to(folder.resolve())]
        if held:
            raise HousekeepingError(
                f"Airflow logs to {folder}, which also holds {held[0]}. No log was removed. "
                "Set base_log_folder to a folder that has only logs."
            )
