"""The doctor on a stack that runs: its only finding is the one pipeline file that is broken on purpose."""

from __future__ import annotations

import json

import pytest
from running_stack import Live

pytestmark = pytest.mark.timeout(900)


def test_nothing_but_the_broken_file_is_wrong_and_airflow_s_parts_are_among_the_checked(live: Live) -> None:
    done = live.retrain("--json", "doctor")
    found = {each["thing"]: each for each in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert {thing for thing, each in found.items() if each["found"] == "WRONG"} == {"pipeline file broken.yaml"}
    well = {thing for thing, each in found.items() if each["found"] == "ok"}
    assert {"Airflow", "DAG files", "slots", "shared volume", "origin of trip_duration", "Slack's scopes"} <= well
    assert "v1.0.0 still names" in found["origin of trip_duration"]["seen"]
    for secret in (live.stack.secrets.s3_secret_key, live.stack.secrets.slack_token, live.stack.secrets.fernet_key):
        assert secret not in done.stdout
