"""The process beside Airflow's scheduler that cleans the metadata database: `python -m retrain.housekeeping.database_cleaner`.

It cleans once a day, an hour before the housekeeping DAG, so that the DAG reports the result of the same day. If that time has
passed since the last result, it cleans soon after its start, but not while Airflow itself starts. A failed cleaning is tried
again after an hour. With `--once` it cleans now and ends, for a scheduler of jobs such as a CronJob of Kubernetes.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from retrain.deployment import housekeeping_file
from retrain.deployment.housekeeping_file import HousekeepingLimits
from retrain.errors import RetrainError
from retrain.housekeeping.cleaning_time import RETRY, next_cleaning
from retrain.housekeeping.database import DatabaseCleaned, heartbeat_file, read_result, write_result
from retrain.housekeeping.database_cleaning import clean
from retrain.housekeeping.database_errors import CleaningUnreadableError
from retrain.work import process
from retrain.work.file_lock import try_locked
from retrain.work.files import write_whole
from retrain.work.workspace import home

log = logging.getLogger("retrain.housekeeping.database_cleaner")

PAUSE_SECONDS = 20.0
FIRST_AFTER_SECONDS = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM. Returns 0; 1 if a cleaning with --once did not succeed, 2 if the settings are wrong."""
    parser = argparse.ArgumentParser(prog="python -m retrain.housekeeping.database_cleaner", description=__doc__)
    parser.add_argument("--once", action="store_true", help="clean now, whatever the time is, and end")
    parser.add_argument(
        "--first-after",
        type=float,
        default=FIRST_AFTER_SECONDS,
        metavar="SECONDS",
        help="how long after the start no cleaning begins (%(default)s), so that it does not slow down Airflow's start",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        volume = home()
        limits = housekeeping_file.load_housekeeping(housekeeping_file.path())
    except RetrainError as error:
        log.error("%s", error)  # noqa: TRY400 - the sentence says all
        return 2
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _end)
    try:
        if options.once:
            cleaned = clean_alone(volume, limits, lambda _: True)
            return 0 if cleaned and cleaned.error is None else 1
        _run(volume, limits, options.first_after)
    finally:
        process.end_children()
    return 0


def clean_alone(
    home: Path, limits: HousekeepingLimits, is_due: Callable[[DatabaseCleaned | None], bool]
) -> DatabaseCleaned | None:
    """Clean and write the result, unless another process cleans or `is_due` of the last result is false.

    Returns the new result, None if there is none.
    """
    with try_locked(home / "housekeeping" / "database_cleaner.lock") as acquired:
        if not acquired:
            log.warning("Another process cleans the database of %s now.", home)
            return None
        if not is_due(_last(home)):
            return None
        log.info("Cleaning Airflow's database: rows of the last %d days stay.", limits.metadata_days)
        cleaned = clean(os.environ, limits.metadata_days, datetime.now(UTC), lambda _: _beat(home))
        write_result(home, cleaned)
    log.info("%d rows removed in %.0f s; %s", cleaned.rows, cleaned.seconds, cleaned.error or "succeeded")
    return cleaned


def _run(home: Path, limits: HousekeepingLimits, first_after: float) -> None:
    first = time.monotonic() + first_after

    def is_due(last: DatabaseCleaned | None) -> bool:
        now = datetime.now(UTC)
        return now >= next_cleaning(last, limits, now)

    while True:  # until `_end` is called
        limits = _read_again(limits)
        try:
            _beat(home)
            if time.monotonic() >= first:
                clean_alone(home, limits, is_due)
        except OSError:  # such as a full volume, which must not lead to one cleaning after another
            log.exception("The result cannot be written to %s. It is tried again in an hour.", home)
            first = time.monotonic() + RETRY.total_seconds()
        time.sleep(PAUSE_SECONDS)


def _read_again(limits: HousekeepingLimits) -> HousekeepingLimits:
    """The limits as the file has them now; `limits` while it is broken, which the DAG reports."""
    try:
        return housekeeping_file.load_housekeeping(housekeeping_file.path())
    except RetrainError as error:
        log.warning("%s The limits from before hold.", error)
        return limits


def _beat(home: Path) -> None:
    """Touch the heartbeat file, unless it is younger than PAUSE_SECONDS. The first beat of all is written into it."""
    path = heartbeat_file(home)
    if not path.exists():
        write_whole(path, datetime.now(UTC).isoformat().encode())
    elif abs(time.time() - path.stat().st_mtime) >= PAUSE_SECONDS:
        path.touch()


def _last(home: Path) -> DatabaseCleaned | None:
    try:
        return read_result(home)
    except CleaningUnreadableError as error:
        log.warning("%s A new cleaning replaces it.", error)
        return None


def _end(number: int, _frame: FrameType | None) -> None:
    """End the process, and through the exception its child."""
    log.info("ended by %s", signal.Signals(number).name)
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
