"""No secret leaves with an alert, and what on-call needs to read stays."""

from __future__ import annotations

import json

import pytest

from retrain.alerts.redaction import REDACTED, redact, redact_facts

S = "s3cr3tVALUE/9+x"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("connect to postgresql://airflow:{s}@db:5432/airflow failed", id="password in a URL"),
        pytest.param("git clone https://robot:{s}@git.example.org/x.git", id="token in a Git URL"),
        pytest.param("password={s}", id="pair"),
        pytest.param("PASSWORD = '{s}'", id="pair in quotes"),
        pytest.param('{{"aws_secret_access_key": "{s}", "region": "x"}}', id="JSON"),
        pytest.param("AWS_SECRET_ACCESS_KEY={s}", id="environment variable"),
        pytest.param("refused: token: {s}, retry later", id="YAML"),
        pytest.param("api-key={s}", id="api key"),
        pytest.param("tool --token {s} push", id="option"),
        pytest.param("Authorization: Bearer {s}", id="Authorization header"),
        pytest.param("headers {{'Authorization': 'Basic {s}=='}}", id="Authorization in a dictionary"),
        pytest.param("authorization: AWS4-HMAC-SHA256 Credential=x/20200317, Signature={s}", id="signed request"),
        pytest.param("GET https://b.s3.amazonaws.com/k?a=1&X-Amz-Signature={s}&b=2", id="signed URL"),
        pytest.param(
            "GET https://b.s3.amazonaws.com/k?X-Amz-Credential={s}%2F20200317&x=y", id="signed URL's credential"
        ),
        pytest.param("https://store.example.org/k?sv=2020&sig={s}", id="shared access signature"),
        pytest.param("the value {s} as it is", id="known value"),
    ],
)
def test_the_secret_is_gone_from(text: str) -> None:
    cleaned = redact(text.format(s=S), [S] if "as it is" in text else [])
    assert S not in cleaned
    assert S.split("/", maxsplit=1)[0] not in cleaned
    assert REDACTED in cleaned


@pytest.mark.parametrize(
    "token",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
        "xapp-1-A0123-456-abcdef",
        "https://hooks.slack.com/services/T0/B0/XXXX",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.s5o",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEcut off",
    ],
)
def test_a_text_in_the_form_of_a_credential_is_removed(token: str) -> None:
    assert redact(f"before {token} after").startswith(f"before {REDACTED}")
    assert token not in redact(f"before {token} after")


@pytest.mark.parametrize(
    "text",
    [
        "S3 answered 403 AccessDenied for s3://retrain-raw/raw/yellow/dt=2020-03-17/_SUCCESS",
        "The token of the Slack connection was refused: invalid_auth. Set the connection's password again.",
        "dt=2020-03-17/part-0.parquet: 41 % of dropoff_datetime are empty (limit 5 %).",
        "http://127.0.0.1:8080/dags/trip_duration/runs/scheduled__2020-03-17T06:00:00+00:00/tasks/push?try_number=2",
        "tag v1.3.0 is at 41d09a7c55e2d1c04e6a2a4a7b6f0e1d2c3b4a59",
        "files/md5/4a/5f0e1c2d3b4a5968778695a4b3c2d1 is missing",
        "basic checks passed; the bearer of bad news",
    ],
)
def test_other_texts_that_on_call_needs_stay(text: str) -> None:
    assert redact(text, ["", "abc"]) == text


def test_the_longer_of_two_known_values_goes_first() -> None:
    assert redact("abcdef-ghijkl", ["abcdef", "abcdef-ghijkl"]) == REDACTED


def test_facts_are_redacted_however_deep_and_keep_their_shape() -> None:
    facts = {
        "evidence": f"password={S}",
        "tries": 3,
        "health": {"api": {"status": f"401 Authorization: Bearer {S}", "age": 2.5}},
        "reasons": [f"token={S}", None, True],
        "secret": S,
        "features": [{"name": "speed", "value": 0.2}],
    }
    cleaned = redact_facts(facts)
    assert S not in json.dumps(cleaned)
    assert cleaned["tries"] == 3
    assert cleaned["health"]["api"]["age"] == 2.5
    assert cleaned["reasons"][1:] == [None, True]
    assert cleaned["features"] == facts["features"]
    assert cleaned["secret"] == REDACTED


def test_redacting_twice_changes_nothing_more() -> None:
    once = redact(f"https://u:{S}@h/p?sig={S} password={S} Authorization: Bearer {S}")
    assert redact(once) == once


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["a.", "a-a", "token", "://a:", "x_", "password =", "eyj", "-----BEGIN PRIVATE KEY"])
def test_a_long_text_takes_no_long_time(unit: str) -> None:
    assert redact(unit * 20_000)
