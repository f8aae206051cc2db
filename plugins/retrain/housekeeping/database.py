"""The result of the last cleaning of Airflow's metadata database, as a file on the volume that the tasks share.

The process beside the scheduler writes it, because tasks have no access to the database. See `database_cleaner`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from retrain.housekeeping.database_errors import (
    CleaningFailedError,
    CleaningOverdueError,
    CleaningUnreadableError,
    NeverCleanedError,
)
from retrain.run.schema_version import require_readable
from retrain.work.files import write_whole

SCHEMA_VERSION = 1
OLDEST = timedelta(days=2)
FIRST_WITHIN = timedelta(days=1)
_ADVICE = "Use the deployment that wrote it, or delete the file and restart airflow-database-cleaner."


class CleaningDocument(TypedDict):
    """The JSON form of `DatabaseCleaned`. Times are ISO 8601 with an offset."""

    schema_version: int
    at: str
    cleaned_up_to: str
    removed: dict[str, int]
    seconds: float
    error: str | None


class FirstCleaningDocument(TypedDict):
    """The JSON form of `FirstCleaningDue`."""

    schema_version: int
    summary: str
    by: str


@dataclass(frozen=True)
class DatabaseCleaned:
    """One cleaning of the metadata database.

    `at` is when it ended. Rows older than `cleaned_up_to` were to go. `removed` has the number of removed rows by table, without
    tables that lost none; a failed cleaning may have removed some too. `error` is the reason of a failure, None after a success.
    """

    at: AwareDatetime
    cleaned_up_to: AwareDatetime
    removed: Mapping[str, int]
    seconds: float
    error: str | None = None

    @property
    def rows(self) -> int:
        """The number of removed rows, of all tables."""
        return sum(self.removed.values())

    def to_json(self) -> CleaningDocument:
        """The document that `from_json` reads."""
        return CleaningDocument(
            schema_version=SCHEMA_VERSION,
            at=self.at.isoformat(),
            cleaned_up_to=self.cleaned_up_to.isoformat(),
            removed=dict(self.removed),
            seconds=self.seconds,
            error=self.error,
        )

    @classmethod
    def from_json(cls, value: Any, document: str) -> DatabaseCleaned:
        """Read what `to_json` wrote. `document` is its name, for an error.

        Raises:
            CleaningUnreadableError: a field is missing or of another type.
            RecordVersionError: a newer version of the deployment wrote it.
        """
        version = value.get("schema_version") if isinstance(value, Mapping) else None
        if version is None:
            raise CleaningUnreadableError(f"{document} has no schema_version. {_ADVICE}")
        require_readable(version, SCHEMA_VERSION, document, _ADVICE)
        try:
            return _ADAPTER.validate_python({name: value[name] for name in value if name != "schema_version"})
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
            raise CleaningUnreadableError(f"{document} cannot be read ({wrong}). {_ADVICE}") from error


_ADAPTER = TypeAdapter(DatabaseCleaned)


def result_file(home: Path) -> Path:
    """The file of the last result below RETRAIN_HOME."""
    return home / "housekeeping" / "database.json"


def heartbeat_file(home: Path) -> Path:
    """The file below RETRAIN_HOME that the running process touches at least once a minute. It says when it was first started."""
    return home / "housekeeping" / "database_cleaner.heartbeat"


def write_result(home: Path, cleaned: DatabaseCleaned) -> None:
    """Replace the last result by `cleaned`."""
    write_whole(result_file(home), (json.dumps(cleaned.to_json(), indent=2) + "\n").encode())


def read_result(home: Path) -> DatabaseCleaned | None:
    """The last result, however old, also of a failed cleaning; None if there is none yet.

    Raises:
        CleaningUnreadableError: the file cannot be read, is not JSON or lacks a field.
        RecordVersionError: a newer version of the deployment wrote it.
    """
    path = result_file(home)
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CleaningUnreadableError(f"{path} cannot be read ({error}). {_ADVICE}") from error
    return DatabaseCleaned.from_json(value, str(path))


@dataclass(frozen=True)
class FirstCleaningDue:
    """The database was never cleaned, which is no fault until `by`: the process has not run for long."""

    by: datetime

    def to_json(self) -> FirstCleaningDocument:
        """The document that the housekeeping DAG shows."""
        return FirstCleaningDocument(
            schema_version=SCHEMA_VERSION,
            summary=f"Airflow's database was not cleaned yet. The first cleaning is due by {self.by:%Y-%m-%d %H:%M} UTC.",
            by=self.by.isoformat(),
        )


def first_cleaning(home: Path, now: datetime) -> FirstCleaningDue | None:
    """When the first cleaning is due; None if there is a result, or it is overdue, or the process never ran.

    Raises:
        CleaningUnreadableError: the time of the first start cannot be read.
    """
    beat = heartbeat_file(home)
    if result_file(home).exists() or not beat.exists():
        return None
    text = beat.read_text()
    try:
        due = datetime.fromisoformat(text) + FIRST_WITHIN if text else now
    except ValueError as error:
        raise CleaningUnreadableError(f"{beat} has no time ({error}). {_ADVICE}") from error
    return FirstCleaningDue(due) if now < due else None


def last_cleaning(home: Path, now: datetime) -> DatabaseCleaned:
    """The last result, which succeeded and is at most two days old.

    Raises:
        NeverCleanedError: there is no result yet.
        CleaningFailedError: the last cleaning failed; the message has its reason.
        CleaningOverdueError: the last cleaning ended more than two days ago.
        CleaningUnreadableError: the result cannot be read.
        RecordVersionError: a newer version of the deployment wrote it.
    """
    cleaned = read_result(home)
    if cleaned is None:
        raise NeverCleanedError(
            f"{result_file(home)} does not exist: Airflow's database has not been cleaned yet. "
            "Start airflow-database-cleaner; if it runs, read its log."
        )
    if now - cleaned.at > OLDEST:
        raise CleaningOverdueError(
            f"Airflow's database was last cleaned at {cleaned.at:%Y-%m-%d %H:%M} UTC, more than {OLDEST.days} days ago. "
            "Restart airflow-database-cleaner, and read its log if no new result comes."
        )
    if cleaned.error is not None:
        raise CleaningFailedError(
            f"The cleaning of Airflow's database failed at {cleaned.at:%Y-%m-%d %H:%M} UTC: {cleaned.error} "
            "It is tried again every hour, as long as airflow-database-cleaner runs."
        )
    return cleaned
