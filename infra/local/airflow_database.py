"""The migration of Airflow's own database to the tables of the installed Airflow."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import time
from pathlib import Path

from airflow_configuration import airflow_variables
from program_variables import common_variables, inherited_environment
from stack_model import Stack
from state_files import write_private
from supervision import log_file

_SECONDS = 240
_TAIL_LINES = 25


class MigrationError(Exception):
    """Airflow's database was not migrated; the message has the end of the log."""


def begin_migration(stack: Stack) -> subprocess.Popen[bytes] | None:
    """Start `airflow db migrate` in the background; None if this Airflow has already migrated this database.

    The check imports nothing of Airflow: an import would take longer than all other programs to start.
    """
    mark = _migration_mark(stack)
    revision = _database_revision(stack)
    if revision and mark.exists():
        known = json.loads(mark.read_text(encoding="utf-8"))
        if known == {"airflow": _installed_airflow(stack), "revision": revision}:
            return None
    mark.unlink(missing_ok=True)
    variables = inherited_environment(os.environ) | common_variables(stack) | airflow_variables(stack)
    with log_file(stack, "airflow-db-migrate").open("wb") as log:
        return subprocess.Popen(
            [str(stack.airflow_bin), "db", "migrate"],
            env=variables,
            cwd=stack.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def finish_migration(stack: Stack, migration: subprocess.Popen[bytes], began: float) -> None:
    """Wait for the end of the migration, then write down which version migrated which revision. `began` is the start of the stack (`time.monotonic`).

    Raises:
        MigrationError: it failed, or did not end in time.
    """
    log = log_file(stack, "airflow-db-migrate")
    try:
        code = migration.wait(timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise MigrationError(
            f"`airflow db migrate` takes more than {_SECONDS} s. See {log}, then `make down`."
        ) from error
    if code:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
        raise MigrationError(f"`airflow db migrate` ended with exit code {code}. The end of {log}:\n{tail}")
    known = {"airflow": _installed_airflow(stack), "revision": _database_revision(stack)}
    write_private(_migration_mark(stack), json.dumps(known))
    print(f"  {'airflow database':26} ready after {time.monotonic() - began:4.0f} s", flush=True)


def _migration_mark(stack: Stack) -> Path:
    return stack.airflow_home / "migrated.json"


def _database_revision(stack: Stack) -> str | None:
    if not stack.airflow_database.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"file:{stack.airflow_database}?mode=ro", uri=True)) as connection:
            row = connection.execute("select version_num from alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None


def _installed_airflow(stack: Stack) -> str:
    """The name and version of the installed Airflow, found without importing it."""
    found = stack.root.glob(".venv/lib/python*/site-packages/apache_airflow_core-*.dist-info")
    return ",".join(sorted(path.name for path in found))
