"""Questions to Airflow's metadata database: how many rows are old, and which run that has not ended needs old rows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import (
    Connection,
    DateTime,
    Engine,
    NullPool,
    bindparam,
    column,
    create_engine,
    func,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from retrain.errors import ConfigurationError
from retrain.housekeeping.database_errors import MetadataDatabaseError
from retrain.work import process

# The tables that are cleaned, each with the column by which `airflow db clean` finds its old rows. Table `dag` is not among them:
# it has one row a DAG, and deleting that of a DAG whose last run is kept fails on Postgres and leaves an archive table on SQLite.
TABLES = {
    "_xcom_archive": "timestamp",
    "asset_event": "timestamp",
    "callback": "created_at",
    "celery_taskmeta": "date_done",
    "celery_tasksetmeta": "date_done",
    "connection_test_request": "updated_at",
    "dag_run": "start_date",
    "dag_version": "created_at",
    "deadline": "deadline_time",
    "import_error": "timestamp",
    "job": "latest_heartbeat",
    "log": "dttm",
    "partitioned_asset_key_log": "created_at",
    "revoked_token": "exp",
    "task_instance": "start_date",
    "task_instance_history": "start_date",
    "task_reschedule": "start_date",
    "task_state_store": "expires_at",
    "trigger": "created_date",
    "xcom": "timestamp",
}
ARCHIVE_PREFIX = "_airflow_deleted__"
_CONNECT_SECONDS = 10
_QUERY_SECONDS = 120
_NEEDED = """
    SELECT run.dag_id, run.run_id FROM dag_run AS run
    WHERE run.state IN ('queued', 'running') AND (
        run.start_date < :cutoff OR EXISTS (
            SELECT 1 FROM task_instance AS task
            WHERE task.dag_id = run.dag_id AND task.run_id = run.run_id AND task.start_date < :cutoff
        )
    )
    ORDER BY run.dag_id, run.run_id LIMIT 1
"""


@dataclass(frozen=True)
class DagRunName:
    """The DAG and the id of a DAG run."""

    dag_id: str
    run_id: str


def database_url(environ: Mapping[str, str]) -> str:
    """The address of the metadata database, with its password, from the variables that configure Airflow.

    Raises:
        ConfigurationError: neither variable is set, or the command fails.
    """
    name = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    if environ.get(name):
        return environ[name]
    command = environ.get(f"{name}_CMD", "")
    if not command:
        raise ConfigurationError(
            f"Neither {name} nor {name}_CMD is set. Start the cleaner with the scheduler's variables."
        )
    try:
        done = process.run(
            shlex.split(command), cwd=Path.cwd(), env=environ, timeout=_CONNECT_SECONDS, quiet=True, stderr_too=False
        )
    except OSError as error:
        raise ConfigurationError(f"{name}_CMD cannot be run ({error}). Correct it as for the scheduler.") from error
    if done.returncode or not done.output.strip():
        raise ConfigurationError(
            f"{name}_CMD ended with exit code {done.returncode} and printed no address. Correct it as for the scheduler."
        )
    return done.output.strip()


def old_rows(url: str, cutoff: datetime) -> dict[str, int]:
    """The number of rows before `cutoff`, for each table of TABLES that exists.

    Raises:
        MetadataDatabaseError: the database refused a query or did not answer.
    """
    with _connected(url) as connection:
        existing = set(inspect(connection).get_table_names())
        counts = {}
        for name, time_column in TABLES.items():
            if name in existing:
                moment = column(time_column, DateTime(timezone=True))
                query = select(func.count()).select_from(table(name, moment)).where(moment < cutoff)
                counts[name] = connection.execute(query).scalar_one()
    return counts


def archive_tables(url: str) -> list[str]:
    """The names of the archive tables: `airflow db clean` copies rows there before it deletes them.

    Raises:
        MetadataDatabaseError: the database refused a query or did not answer.
    """
    with _connected(url) as connection:
        return [name for name in inspect(connection).get_table_names() if name.startswith(ARCHIVE_PREFIX)]


def run_that_needs_old_rows(url: str, cutoff: datetime) -> DagRunName | None:
    """A DAG run that has not ended and has task instances before `cutoff`, such as a run of last year that was cleared today.

    Raises:
        MetadataDatabaseError: the database refused a query or did not answer.
    """
    with _connected(url) as connection:
        query = text(_NEEDED).bindparams(bindparam("cutoff", cutoff, DateTime(timezone=True)))
        row = connection.execute(query).first()
    return DagRunName(row.dag_id, row.run_id) if row else None


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    try:
        engine = _engine(url)
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL statement_timeout = '{_QUERY_SECONDS}s'"))
            yield connection
    except (SQLAlchemyError, ImportError) as error:  # ImportError: the address names a driver that is not installed
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise MetadataDatabaseError(
            f"Airflow's database does not answer ({reason}). See whether it runs; the cleaning is tried again."
        ) from error


def _engine(url: str) -> Engine:
    limits = {"connect_timeout": _CONNECT_SECONDS} if url.startswith("postgres") else {}
    return create_engine(url, poolclass=NullPool, connect_args=limits)
