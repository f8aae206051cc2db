"""One cleaning of Airflow's metadata database, with `airflow db clean` as a child process."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from retrain.alerts.redaction import redact
from retrain.errors import RetrainError
from retrain.housekeeping.database import DatabaseCleaned
from retrain.housekeeping.database_errors import CleaningCommandError, UnfinishedRunError
from retrain.housekeeping.metadata_rows import (
    TABLES,
    archive_tables,
    database_url,
    old_rows,
    run_that_needs_old_rows,
)
from retrain.work import process

log = logging.getLogger(__name__)

BATCH_ROWS = 1000  # rows of a transaction, for which the scheduler may have to wait
CLEAN_SECONDS = 1800
DROP_SECONDS = 300
_EXCEPTION = re.compile(r"[\w.]*(?:Error|Exception)\b.*")
_LONGEST_REASON = 500


def clean(
    environ: Mapping[str, str], metadata_days: int, now: datetime, each_sample: Callable[[int], None]
) -> DatabaseCleaned:
    """Clean once. Rows of the last `metadata_days` days stay. A failure is part of the result, with the rows that it removed.

    Args:
        environ: the variables of Airflow's scheduler; they are the child's too.
        each_sample: called four times a second while a child runs.
    """
    began = time.monotonic()
    cutoff = (now - timedelta(days=metadata_days)).replace(microsecond=0)
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    error: str | None = None
    try:
        url = database_url(environ)
        _require_that_no_run_needs(url, cutoff)
        if archive_tables(url):  # a cleaning that was killed has left them
            _airflow(["db", "drop-archived", "--yes"], url, environ, DROP_SECONDS, each_sample)
        before = old_rows(url, cutoff)
        try:
            _airflow(clean_arguments(cutoff), url, environ, CLEAN_SECONDS, each_sample)
        except CleaningCommandError:
            after = old_rows(url, cutoff)
            raise
        after = old_rows(url, cutoff)
    except RetrainError as failure:
        error = str(failure)
    seconds = time.monotonic() - began
    return DatabaseCleaned(
        at=now + timedelta(seconds=seconds),
        cleaned_up_to=cutoff,
        removed=removed_rows(before, after),
        seconds=round(seconds, 1),
        error=error,
    )


def clean_arguments(cutoff: datetime) -> list[str]:
    """The arguments of `airflow` for a cleaning. Without --error-on-cleanup-failure it would end with 0 after a failed table."""
    return [
        *("db", "clean", "--yes", "--skip-archive", "--error-on-cleanup-failure"),
        f"--clean-before-timestamp={cutoff.isoformat()}",
        f"--batch-size={BATCH_ROWS}",
        f"--tables={','.join(TABLES)}",
    ]


def removed_rows(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """How many old rows each table lost, without tables that lost none. Rows that ran into the database meanwhile are not old."""
    lost = {name: count - after.get(name, count) for name, count in before.items()}
    return {name: count for name, count in lost.items() if count > 0}


def reason(lines: Sequence[str]) -> str:
    """The reason of a failure in a command's output: the last line with the name of an exception, else the last line."""
    named = [found[0] for line in lines if (found := _EXCEPTION.match(line.strip()))]
    return (named or list(lines) or ["it printed nothing"])[-1].strip().removesuffix(".")[:_LONGEST_REASON]


def _require_that_no_run_needs(url: str, cutoff: datetime) -> None:
    """Raise UnfinishedRunError if a run that has not ended would lose task instances or XComs."""
    needed = run_that_needs_old_rows(url, cutoff)
    if needed:
        raise UnfinishedRunError(
            f"Run {needed.run_id} of {needed.dag_id} has not ended and needs rows from before {cutoff:%Y-%m-%d}. "
            "Wait until it ends; if it hangs, mark it as failed."
        )


def _airflow(
    arguments: Sequence[str],
    url: str,
    environ: Mapping[str, str],
    timeout: float,
    each_sample: Callable[[int], None],
) -> None:
    """Run Airflow's command line, with its output in the log.

    Raises:
        CleaningCommandError: it failed, or took longer than `timeout` seconds.
    """
    secrets = {url, unquote(urlsplit(url).password or "")}

    def note(line: str) -> None:
        if line.strip():
            log.info("%s", redact(line.rstrip(), secrets))

    done = process.run(
        [sys.executable, "-m", "airflow", *arguments],
        cwd=Path.cwd(),
        env=environ,
        timeout=timeout,
        quiet=True,
        each_line=note,
        each_sample=each_sample,
    )
    command = " ".join(("airflow", *arguments[:2]))
    if done.timed_out:
        raise CleaningCommandError(
            f"`{command}` was ended after {timeout:.0f} s. The next one goes on where it stopped; "
            "if it takes too long again, see whether the database is overloaded."
        )
    if done.returncode:
        raise CleaningCommandError(
            f"`{command}` ended with exit code {done.returncode}: {redact(reason(done.lines), secrets)}. "
            "The log of airflow-database-cleaner has its whole output."
        )
