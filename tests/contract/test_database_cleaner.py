"""The cleaner of Airflow's metadata database on a real database of the installed Airflow, with `airflow db clean` itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from live_servers import ROOT, wait_until
from sqlalchemy import MetaData, create_engine, insert

from retrain.housekeeping.database import DatabaseCleaned, first_cleaning, heartbeat_file, last_cleaning, read_result
from retrain.housekeeping.database_errors import CleaningFailedError
from retrain.housekeeping.metadata_rows import TABLES, archive_tables
from retrain.work.file_lock import locked

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC).replace(microsecond=0)
LIMIT = 90  # days


@dataclass(frozen=True)
class Metadata:
    """A metadata database of its own, and the variables of a cleaner that cleans it."""

    folder: Path
    lock_seconds: int = 1  # how long a statement waits for SQLite's lock

    @property
    def home(self) -> Path:
        return self.folder / "retrain"

    @property
    def file(self) -> Path:
        return self.folder / "airflow.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}?timeout={self.lock_seconds}"

    @property
    def variables(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "RETRAIN_"))}
        return inherited | {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.url,
            "PYTHONPATH": str(ROOT / "plugins"),
            "RETRAIN_HOME": str(self.home),
            "RETRAIN_HOUSEKEEPING": str(self.folder / "housekeeping.yaml"),
        }

    def airflow(self, *arguments: str) -> str:
        return self._ended([sys.executable, "-m", "airflow", *arguments])

    def python(self, program: str) -> str:
        return self._ended([sys.executable, "-c", program])

    def clean(self) -> int:
        """Clean once; returns the exit code."""
        command = [sys.executable, "-m", "retrain.housekeeping.database_cleaner", "--once"]
        return subprocess.run(command, env=self.variables, cwd=ROOT, timeout=200, check=False).returncode

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement).fetchall()

    def add_dag(self, dag_id: str, *, days: tuple[int, ...], state: str = "success") -> None:
        """A DAG with two versions and a run that started each of `days` ago; the second task of each run was skipped."""
        tables = MetaData()
        engine = create_engine(self.url)
        tables.reflect(engine)
        table, long_ago, versions = tables.tables, NOW - timedelta(days=400), (uuid.uuid4().hex, uuid.uuid4().hex)
        with engine.begin() as connection:
            connection.execute(
                insert(table["dag"]).values(
                    dag_id=dag_id,
                    is_paused=False,
                    is_stale=False,
                    last_parsed_time=long_ago,  # as of a DAG whose file is gone
                    bundle_name="dags-folder",
                    timetable_type="cron",
                    partition_mapper_info={},
                    max_active_tasks=1,
                    max_consecutive_failed_dag_runs=0,
                    has_task_concurrency_limits=False,
                )
            )
            for number, version in enumerate(versions, start=1):
                connection.execute(
                    insert(table["dag_version"]).values(
                        id=version, version_number=number, dag_id=dag_id, created_at=long_ago, last_updated=long_ago
                    )
                )
            for ago in days:
                start, run_id = NOW - timedelta(days=ago), f"{ago} days ago"
                key = connection.execute(
                    insert(table["dag_run"]).values(
                        dag_id=dag_id,
                        run_id=run_id,
                        run_type="scheduled",
                        state=state,
                        logical_date=start - timedelta(days=1),
                        run_after=start,
                        start_date=start,
                        created_dag_version_id=versions[0],
                    )
                ).inserted_primary_key[0]
                for task_id, started in (("push", start), ("promote", None)):
                    connection.execute(
                        insert(table["task_instance"]).values(
                            id=uuid.uuid4().hex,
                            task_id=task_id,
                            dag_id=dag_id,
                            run_id=run_id,
                            start_date=started,
                            state="success" if started else "skipped",
                            try_number=1,
                            pool="default_pool",
                            pool_slots=1,
                            dag_version_id=versions[0],
                        )
                    )
                connection.execute(
                    insert(table["xcom"]).values(
                        dag_run_id=key,
                        task_id="push",
                        key="return_value",
                        dag_id=dag_id,
                        run_id=run_id,
                        value={},
                        timestamp=start,
                    )
                )
        engine.dispose()

    def _ended(self, command: list[str]) -> str:
        done = subprocess.run(
            command, env=self.variables, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Metadata:
    metadata = Metadata(tmp_path_factory.mktemp("migrated"))
    metadata.airflow("db", "migrate")
    return metadata


@pytest.fixture
def metadata(migrated: Metadata, tmp_path: Path) -> Metadata:
    shutil.copy(migrated.file, tmp_path / "airflow.db")
    text = (ROOT / "dags" / "housekeeping.yaml").read_text()
    (tmp_path / "housekeeping.yaml").write_text(text.replace("metadata_days: 365", f"metadata_days: {LIMIT}"))
    return Metadata(tmp_path)


def test_old_runs_go_and_new_ones_stay_with_the_newest_run_of_each_dag(metadata: Metadata) -> None:
    metadata.add_dag("daily", days=(200, 100, 50, 1))
    metadata.add_dag("idle", days=(300, 200))
    metadata.execute("CREATE TABLE _airflow_deleted__xcom__20200314000000__b1 AS SELECT * FROM xcom")
    metadata.execute("INSERT INTO log (dttm, event) SELECT start_date, 'success' FROM dag_run")
    metadata.execute("INSERT INTO job (latest_heartbeat) SELECT start_date FROM dag_run")

    assert metadata.clean() == 0

    runs = metadata.execute("SELECT dag_id, run_id FROM dag_run ORDER BY start_date")
    assert runs == [("idle", "200 days ago"), ("daily", "50 days ago"), ("daily", "1 days ago")]
    tasks = metadata.execute("SELECT run_id, task_id FROM task_instance WHERE dag_id = 'daily' ORDER BY start_date")
    assert sorted(tasks) == [(f"{ago} days ago", task) for ago in (1, 50) for task in ("promote", "push")]
    assert metadata.execute("SELECT run_id FROM xcom ORDER BY timestamp") == [("50 days ago",), ("1 days ago",)]
    assert metadata.execute("SELECT dag_id FROM dag ORDER BY dag_id") == [("daily",), ("idle",)]
    assert metadata.execute("SELECT count(*) FROM dag_version") == [(4,)]
    assert archive_tables(metadata.url) == []
    cleaned = last_cleaning(metadata.home, datetime.now(UTC))
    assert cleaned.removed == {"dag_run": 3, "task_instance": 4, "xcom": 4, "log": 4, "job": 4}
    assert cleaned.error is None
    assert timedelta(days=LIMIT) <= cleaned.at - cleaned.cleaned_up_to < timedelta(days=LIMIT, minutes=5)


def test_every_table_that_this_airflow_cleans_is_cleaned_but_the_list_of_dags(migrated: Metadata) -> None:
    program = "import json; from airflow.utils.db_cleanup import config_dict as c; print(json.dumps({n: c[n].recency_column_name for n in c}))"
    theirs = json.loads(migrated.python(program).splitlines()[-1])
    assert theirs == {"dag": "last_parsed_time", **TABLES}


def test_a_cleaning_that_fails_is_recorded_with_its_reason_and_the_rows_that_it_removed(metadata: Metadata) -> None:
    metadata.add_dag("daily", days=(200, 1))
    metadata.execute("CREATE TRIGGER keep BEFORE DELETE ON dag_run BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    assert metadata.clean() == 1
    with pytest.raises(CleaningFailedError, match=r"`airflow db clean` ended with exit code 1: .*'dag_run'"):
        last_cleaning(metadata.home, datetime.now(UTC))
    assert _result(metadata).removed == {"task_instance": 1, "xcom": 1}


def test_a_run_of_long_ago_that_was_cleared_and_has_not_ended_keeps_its_rows(metadata: Metadata) -> None:
    metadata.add_dag("daily", days=(200, 1))
    metadata.execute("UPDATE dag_run SET state = 'running', start_date = datetime('now') WHERE run_id = '200 days ago'")
    assert metadata.clean() == 1
    assert metadata.execute("SELECT count(*) FROM xcom") == [(2,)]
    assert "Run 200 days ago of daily has not ended" in str(_result(metadata).error)


def test_a_second_process_leaves_the_database_alone(metadata: Metadata) -> None:
    with locked(metadata.home / "housekeeping" / "database_cleaner.lock"):
        assert metadata.clean() == 1
    assert read_result(metadata.home) is None


@pytest.fixture
def cleaner(metadata: Metadata) -> Iterator[subprocess.Popen[bytes]]:
    """The running process. It found no result, and its child waits for another writer."""
    metadata = replace(metadata, lock_seconds=120)
    with closing(sqlite3.connect(metadata.file)) as writer:
        metadata.add_dag("daily", days=(200, 1))
        writer.execute("BEGIN IMMEDIATE")
        command = [sys.executable, "-m", "retrain.housekeeping.database_cleaner", "--first-after=0"]
        process = subprocess.Popen(command, env=metadata.variables, cwd=ROOT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def test_sigterm_ends_the_process_and_its_running_child(metadata: Metadata, cleaner: subprocess.Popen[bytes]) -> None:
    parent = psutil.Process(cleaner.pid)
    wait_until(lambda: parent.children(recursive=True), "the cleaning has begun", seconds=120)
    children = parent.children(recursive=True)
    assert heartbeat_file(metadata.home).exists()
    assert first_cleaning(metadata.home, datetime.now(UTC)) is not None

    cleaner.send_signal(signal.SIGTERM)

    assert cleaner.wait(timeout=30) == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert read_result(metadata.home) is None
    assert metadata.execute("SELECT count(*) FROM dag_run") == [(2,)]


def _result(metadata: Metadata) -> DatabaseCleaned:
    result = read_result(metadata.home)
    assert result is not None
    return result
