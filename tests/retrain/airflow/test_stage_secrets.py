"""The secrets of stages, out of connections and Variables. Airflow asks environment variables first."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.log import redact

from retrain.airflow.stage_secrets import secret_values
from retrain.deployment.sections import Secret
from retrain.work.errors import StageSecretError


@pytest.fixture(autouse=True)
def _connection(monkeypatch: pytest.MonkeyPatch) -> None:
    database = {
        "conn_type": "postgres",
        "host": "db.example.org",
        "port": 5432,
        "login": "me",
        "password": "pass-of-the-database",
        "schema": "iris",
        "extra": json.dumps({"token": "tok-123456", "short": "abc", "nested": {"a": 1}}),
    }
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")  # as in a task
    monkeypatch.setenv("AIRFLOW_CONN_THEIR_DB", json.dumps(database))
    monkeypatch.setenv("AIRFLOW_VAR_THEIR_KEY", "key-of-the-variable\nsecond-line-of-it")


def test_each_part_of_a_connection_and_a_variable_can_be_a_stage_s_variable() -> None:
    parts = ("password", "login", "host", "port", "schema", "token", "nested")
    secrets = {part.upper(): Secret(connection="their_db", value=part) for part in parts}
    secrets["KEY"] = Secret(variable="their_key")
    secrets["URI"] = Secret(connection="their_db", value="uri")
    values = secret_values(secrets)
    assert values.pop("URI").startswith("postgres://me:pass-of-the-database@db.example.org:5432/iris")
    assert values == {
        "PASSWORD": "pass-of-the-database",
        "LOGIN": "me",
        "HOST": "db.example.org",
        "PORT": "5432",
        "SCHEMA": "iris",
        "TOKEN": "tok-123456",
        "NESTED": '{"a": 1}',
        "KEY": "key-of-the-variable\nsecond-line-of-it",
    }


def test_airflow_masks_the_values_from_then_on_also_a_single_line_of_one() -> None:
    secret_values({"KEY": Secret(variable="their_key")})
    assert redact("got second-line-of-it") == "got ***"


def test_all_that_is_missing_or_too_short_is_named_at_once_and_no_value_is() -> None:
    secrets = {
        "A": Secret(connection="nobodys"),
        "B": Secret(connection="their_db", value="no_such_key"),
        "C": Secret(variable="no_such_variable"),
        "D": Secret(connection="their_db", value="short"),
        "E": Secret(connection="their_db"),
    }
    with pytest.raises(StageSecretError) as raised:
        secret_values(secrets)
    assert str(raised.value) == (
        "secrets of the pipeline's file: A needs password of the connection nobodys, which Airflow does not have; "
        "B needs no_such_key of the connection their_db, which Airflow does not have; "
        "C needs the Variable no_such_variable, which Airflow does not have; "
        "D is short of the connection their_db, which has fewer than 5 characters and cannot be masked. "
        "Correct Airflow's connections and Variables, or the file."
    )
