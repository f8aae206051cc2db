"""What a process knows as secret."""

from __future__ import annotations

from retrain.alerts.redaction import known_secrets


def test_the_secrets_of_an_environment_are_found_by_name_and_in_connections() -> None:
    environ = {
        "PWD": "/srv/deployment",
        "OLDPWD": "/srv/deployment",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "RETRAIN_SLACK_TOKEN_FILE": "/run/secrets/slack",
        "AIRFLOW_CONN_AWS_DEFAULT": '{"conn_type": "aws", "login": "retrain-key", "password": "the password"}',
        "AIRFLOW_CONN_MLFLOW": "http://user:p%40ssword@mlflow:5000",
        "PATH": "/usr/bin",
        "API_TOKEN": "x",
    }
    assert known_secrets(environ) == {"wJalrXUtnFEMI", "retrain-key", "the password", "p@ssword"}
