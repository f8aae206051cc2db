import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retrain.errors import RecordVersionError
from retrain.housekeeping.database import (
    DatabaseCleaned,
    first_cleaning,
    heartbeat_file,
    last_cleaning,
    read_result,
    result_file,
    write_result,
)
from retrain.housekeeping.database_errors import (
    CleaningFailedError,
    CleaningOverdueError,
    CleaningUnreadableError,
    NeverCleanedError,
)
from retrain.work.files import write_whole

NOW = datetime(2020, 3, 14, 2, 31, tzinfo=UTC)
CLEANED = DatabaseCleaned(NOW, NOW - timedelta(days=365), {"dag_run": 4, "xcom": 12}, 13.6)


def test_a_result_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_result(tmp_path, CLEANED)
    assert read_result(tmp_path) == CLEANED
    assert last_cleaning(tmp_path, NOW) == CLEANED
    assert CLEANED.rows == 16


def test_a_result_of_two_days_ago_still_counts(tmp_path: Path) -> None:
    write_result(tmp_path, CLEANED)
    assert last_cleaning(tmp_path, NOW + timedelta(days=2)) == CLEANED


def test_a_result_older_than_two_days_is_refused_with_the_process_to_restart(tmp_path: Path) -> None:
    write_result(tmp_path, CLEANED)
    with pytest.raises(CleaningOverdueError, match=r"2020-03-14 02:31 UTC.* Restart airflow-database-cleaner"):
        last_cleaning(tmp_path, NOW + timedelta(days=2, seconds=1))


def test_without_a_result_the_process_to_start_is_named(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    with pytest.raises(NeverCleanedError, match=r"database\.json does not exist.* Start airflow-database-cleaner"):
        last_cleaning(tmp_path, NOW)


def test_the_first_cleaning_is_due_within_a_day_of_the_first_start(tmp_path: Path) -> None:
    write_whole(heartbeat_file(tmp_path), NOW.isoformat().encode())
    due = first_cleaning(tmp_path, NOW + timedelta(hours=23))
    assert due is not None
    assert due.to_json()["summary"].endswith("The first cleaning is due by 2020-03-15 02:31 UTC.")
    assert first_cleaning(tmp_path, NOW + timedelta(days=1)) is None


def test_no_first_cleaning_is_due_without_the_process_or_after_a_result(tmp_path: Path) -> None:
    assert first_cleaning(tmp_path, NOW) is None
    write_whole(heartbeat_file(tmp_path), b"")  # of a version that wrote no time
    assert first_cleaning(tmp_path, NOW) is None
    write_whole(heartbeat_file(tmp_path), NOW.isoformat().encode())
    write_result(tmp_path, replace(CLEANED, error="no space."))
    assert first_cleaning(tmp_path, NOW) is None


def test_a_first_start_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    write_whole(heartbeat_file(tmp_path), b"yesterday")
    with pytest.raises(CleaningUnreadableError, match=r"heartbeat has no time .*yesterday"):
        first_cleaning(tmp_path, NOW)


def test_a_failed_cleaning_is_refused_with_its_reason(tmp_path: Path) -> None:
    write_result(tmp_path, replace(CLEANED, error="`airflow db clean` ended with exit code 1: no space."))
    with pytest.raises(CleaningFailedError, match=r"exit code 1: no space\. It is tried again every hour"):
        last_cleaning(tmp_path, NOW)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"schema_version": 2}, RecordVersionError, id="written by a newer deployment"),
        pytest.param({"schema_version": None}, CleaningUnreadableError, id="without a version"),
        pytest.param({"removed": "many"}, CleaningUnreadableError, id="a field of another type"),
        pytest.param({"at": "2020-03-14T02:31:00"}, CleaningUnreadableError, id="a time without an offset"),
    ],
)
def test_a_result_that_cannot_be_understood_is_refused_by_name(
    tmp_path: Path, change: dict[str, object], error: type[Exception]
) -> None:
    write_result(tmp_path, CLEANED)
    path = result_file(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(error, match=r"database\.json .*restart airflow-database-cleaner"):
        last_cleaning(tmp_path, NOW)


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"'])
def test_a_result_that_is_no_document_is_refused_by_name(tmp_path: Path, content: str) -> None:
    result_file(tmp_path).parent.mkdir()
    result_file(tmp_path).write_text(content)
    with pytest.raises(CleaningUnreadableError, match=r"database\.json"):
        last_cleaning(tmp_path, NOW)
