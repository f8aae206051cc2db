"""Airflow's database as a source of connections and Variables, for processes that Airflow has not started."""

from __future__ import annotations

import os

# Airflow's own command line sets it for the same purpose (`airflow connections get`). Airflow sets it for its components and its
# tasks. Without it Airflow looks at the environment and the secrets backend alone.
_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"
_ADDRESS = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def use_if_configured() -> None:
    """Let Airflow look in its database too, if this process has the database's address."""
    if any(os.environ.get(f"{_ADDRESS}{form}") for form in ("", "_CMD", "_SECRET")):
        os.environ[_CONTEXT] = "server"


def not_asked() -> str:
    """The end of an error about something that Airflow does not have; empty if the database was asked for it too."""
    if os.environ.get(_CONTEXT):
        return ""
    return (
        " What is only in Airflow's database is not seen here, because this process has no access to it: define it in the secrets "
        "backend, or run the command where Airflow's api-server runs."
    )
