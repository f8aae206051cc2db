"""What the commands find in a real Airflow database, and what they say where they have none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_ADDRESS = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
# A connection and a Variable that are in the database alone.
_FILL = """
from airflow.models import Connection, Variable
from airflow.models.team import Team
from airflow.settings import engine
from airflow.utils.session import create_session
for model in (Team, Connection, Variable):
    model.__table__.create(engine)
with create_session() as session:
    session.add(Connection(conn_id="their_db", conn_type="postgres", password="pass-of-the-database"))
    session.add(Variable(key="their_key", val="key-of-the-variable"))
"""
_ASK = """
from retrain.airflow import airflow_database
from retrain.deployment.sections import Secret
airflow_database.use_if_configured()
from retrain.airflow.stage_secrets import secret_values
print(secret_values({"A": Secret(connection="their_db"), "B": Secret(variable="their_key")}))
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a process that reads such a database."""
    home = tmp_path_factory.mktemp("airflow")
    own = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    variables = own | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__FERNET_KEY": "s2qY2sH3hJWyfVqRrKqVY1c8cJ1dPKAYyXQpYxVsrR4=",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PYTHONPATH": str(ROOT / "plugins"),
        _ADDRESS: f"sqlite:///{home}/airflow.db",
    }
    done = _python(_FILL, variables)
    assert done.returncode == 0, done.stderr
    return variables


def _python(code: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_command_has_the_values_that_are_in_airflow_s_database_alone(filled: dict[str, str]) -> None:
    done = _python(_ASK, filled)
    assert done.stdout.strip() == "{'A': 'pass-of-the-database', 'B': 'key-of-the-variable'}", done.stderr


def test_the_address_may_come_from_a_command_as_in_the_containers(filled: dict[str, str]) -> None:
    address = filled[_ADDRESS]
    done = _python(
        _ASK, {k: v for k, v in filled.items() if k != _ADDRESS} | {f"{_ADDRESS}_CMD": f"printf %s {address}"}
    )
    assert done.stdout.strip() == "{'A': 'pass-of-the-database', 'B': 'key-of-the-variable'}", done.stderr


def test_without_its_address_the_error_says_that_the_database_was_not_asked(filled: dict[str, str]) -> None:
    done = _python(_ASK, {k: v for k, v in filled.items() if k != _ADDRESS})
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "What is only in Airflow's database is not seen here, because this process has no access to it: define it in the secrets "
        "backend, or run the command where Airflow's api-server runs."
    )


def test_with_its_address_only_what_airflow_does_not_have_is_named(filled: dict[str, str]) -> None:
    done = _python(_ASK.replace("their_key", "nobodys"), filled)
    assert done.returncode == 1
    assert "B needs the Variable nobodys, which Airflow does not have" in done.stderr
    assert "A needs" not in done.stderr
    assert "not seen here" not in done.stderr
