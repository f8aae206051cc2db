"""The shape of each secret: what is refused, and that no sentence quotes a secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from retrain.doctor import secret_files, secret_shapes
from retrain.doctor.finding import Found
from retrain.doctor.secret_shapes import NO_CREDENTIALS, problem
from retrain.doctor.surroundings import Surroundings

ROOT = Path(__file__).resolve().parents[3]
WORD = "0123456789abcdef0123456789abcdef"
FERNET = "bbBhR0fPz8vVCZgRz0jYvYhM2pQOWuTBzVn9hSoPBlo="
RIGHT = {
    "airflow_database_url": f"postgresql+psycopg2://airflow:{WORD}@postgres:5432/airflow",
    "airflow_passwords": json.dumps({"admin": WORD, "watch": WORD}) + "\n",
    "aws_credentials": "[default]\nrole_arn = arn:aws:iam::1:role/run\n",
    "broker_url": f"redis://:{WORD}@redis:6379/0",
    "connections.json": json.dumps({"mlflow_default": {"conn_type": "http", "host": "mlflow"}}),
    "fernet_key": FERNET,
    "git_credentials": f"https://reader:{WORD}@github.com\n",
    "jwt_secret": WORD,
    "redis.conf": f"requirepass {WORD}\n",
    "slack_token": "xoxb-1-2-abc",
    "slack_webhook": "https://hooks.slack.com/services/T0/B0/abcdef",
    "watch_password": WORD,
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_secret_in_its_shape_has_no_problem(name: str) -> None:
    assert problem(name, RIGHT[name]) == ""


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("jwt_secret", "", "is empty"),
        ("slack_token", " \n", "is empty"),
        ("watch_password", f"{WORD}\n", "ends with white space"),
        ("watch_password", "short", "shorter than 16"),
        ("jwt_secret", "two words and many characters", "white space in it"),
        ("fernet_key", WORD, "Fernet"),
        ("fernet_key", f"{FERNET},nonsense", "Fernet"),
        ("slack_token", "xoxp-a-person-s", "bot's token"),
        ("slack_webhook", "https://hooks.slack.com/triggers/abc", "services"),
        ("git_credentials", "ghp_token", "line 1"),
        ("git_credentials", "https://github.com", NO_CREDENTIALS),
        ("connections.json", "{", "not a JSON object"),
        ("connections.json", '{"mlflow_default": {"host": "mlflow"}}', "mlflow_default"),
        ("connections.json", '{"mlflow_default": ["http"], "aws_default": 5}', "aws_default, mlflow_default"),
        ("airflow_passwords", '{"admin": "x"}', "watch"),
        ("aws_credentials", "role_arn = 1", "profiles"),
        ("airflow_database_url", "sqlite:///here", "postgresql"),
        ("broker_url", "amqp://there", "redis"),
        ("redis.conf", WORD, "requirepass"),
        ("slack_webhook", "https://[never-closed/services/a/b/c", "services"),
    ],
)
def test_a_secret_of_another_shape_is_refused_by_a_sentence_that_does_not_quote_it(
    name: str, text: str, said: str
) -> None:
    assert said in problem(name, text)
    assert len(text.strip()) < 8 or text.strip() not in problem(name, text)


def test_two_fernet_keys_and_an_origin_without_credentials_are_fine() -> None:
    assert problem("fernet_key", f"{FERNET},{FERNET}") == ""
    assert problem("git_credentials", "") == problem("git_credentials", f"{NO_CREDENTIALS}\n") == ""


def test_git_reads_no_credentials_from_a_file_that_says_there_are_none(tmp_path: Path) -> None:
    """As the helper of the containers' gitconfig reads it."""
    (tmp_path / "git_credentials").write_text(NO_CREDENTIALS)
    helper = f"credential.helper=store --file {tmp_path / 'git_credentials'}"
    asked = subprocess.run(
        ["git", "-c", helper, "credential", "fill"],
        input="protocol=https\nhost=github.com\n\n",
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "password=" not in asked.stdout
    assert "could not read" in asked.stderr or "unable to read" in asked.stderr, asked.stderr


def test_every_secret_of_the_containers_has_a_shape() -> None:
    mounted = set(yaml.safe_load((ROOT / "docker-compose.airflow.yml").read_text())["secrets"])
    assert mounted - {"s3_keys"} <= set(secret_shapes._SHAPES)


def found(folder: Path) -> dict[str, Found]:
    return {each.thing: each.found for each in secret_files.check(Surroundings({}, folder, ""))}


def test_each_file_is_one_finding_and_a_missing_folder_is_another_place(tmp_path: Path) -> None:
    (tmp_path / "jwt_secret").write_text(WORD)
    (tmp_path / "fernet_key").write_text("no key")
    (tmp_path / "slack_token").write_bytes(b"\xff\xfe")
    assert found(tmp_path) == {
        "secret jwt_secret": Found.OK,
        "secret fernet_key": Found.WRONG,
        "secret slack_token": Found.WRONG,
    }
    assert found(tmp_path / "nowhere") == {"secrets": Found.UNKNOWN}


def test_a_watch_password_that_airflow_does_not_know_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "airflow_passwords").write_text(json.dumps({"admin": WORD, "watch": WORD}))
    (tmp_path / "watch_password").write_text(WORD)
    assert found(tmp_path) == {"secret airflow_passwords": Found.OK, "secret watch_password": Found.OK}
    (tmp_path / "watch_password").write_text(WORD[::-1])
    assert found(tmp_path)["secret watch_password"] is Found.WRONG


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"{WORD}\n", WORD),
        (f"postgresql+psycopg2://airflow:{WORD}@postgres:5432/airflow", WORD),
        (f"https://a:first@host\nhttps://reader:{WORD}@github.com\n", WORD),
        (f"requirepass {WORD}", WORD),
        (f"[default]\naws_access_key_id = AKIA\naws_secret_access_key = {WORD}\n", WORD),
        (f"[default]\naws_access_key_id=AKIA\naws_secret_access_key={WORD}==\n", f"{WORD}=="),
        (json.dumps({"admin": "x", "watch": WORD}), WORD),
        (json.dumps({"admin": 123456789, "watch": [WORD]}), "123456789"),
        (json.dumps({"mlflow_default": "http://user:pass%40word@mlflow"}), "pass@word"),
        (json.dumps({"aws_default": {"conn_type": "aws", "extra": {"aws_secret_access_key": WORD}}}), WORD),
        (json.dumps({"aws_default": {"conn_type": "aws", "extra": json.dumps({"aws_session_token": WORD})}}), WORD),
        (json.dumps({"aws_default": {"conn_type": "aws", "login": "a", "password": WORD}}), WORD),
    ],
)
def test_the_secret_of_a_file_is_known_whatever_stands_around_it(text: str, secret: str) -> None:
    assert secret in secret_shapes.values(text)


def test_the_words_of_a_document_are_no_secrets() -> None:
    found = secret_shapes.values(json.dumps({"mlflow_default": {"conn_type": "http", "host": "mlflow"}}))
    found |= secret_shapes.values("[default]\nrole_arn = arn:aws:iam::1:role/run\n")
    assert not found & {"mlflow_default", "http", "mlflow", "arn:aws:iam::1:role/run"}
