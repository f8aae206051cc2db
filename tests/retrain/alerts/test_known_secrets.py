"""What a process knows as secret."""

from __future__ import annotations

from retrain.alerts.redaction import known_secrets


def test_what_a_process_knows_as_secret_is_found_by_its_name_and_in_connections() -> None:
    environ = {
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "RETRAIN_SLACK_TOKEN_FILE": "/run/secrets/slack",
        "AIRFLOW_CONN_AWS_DEFAULT": '{"conn_type": "aws", "login": "retrain-key", "password": "the password"}',
        "AIRFLOW_CONN_MLFLOW": "http://user:p%40ssword@mlflow:5000",
        "PATH": "/usr/bin",
        "API_TOKEN": "x",
    }
    assert known_secrets(environ) == {"wJalrXUtnFEMI", "retrain-key", "the password", "p@ssword"}
