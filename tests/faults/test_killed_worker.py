"""A task whose worker is killed with -9: its failure is reported, although the worker itself cannot report it.

The fixture `lost_worker` (conftest.py) kills it before all other tests, so that they run while Airflow misses its heartbeats.
"""

from __future__ import annotations

import json

import pytest
from running_stack import Live, wait_until
from told import incidents

pytestmark = pytest.mark.timeout(1200)


@pytest.mark.usefixtures("lost_worker")
def test_a_worker_killed_in_mid_stage_is_reported_after_its_last_try_and_never_as_code(live: Live) -> None:
    assert live.ended("killed_worker", "killed", 700)["state"] == "failed"
    told = wait_until(lambda: incidents(live, "killed_worker", "task_failed"), 180, "no message")
    said = json.dumps([m["blocks"] for m in told], ensure_ascii=False)
    assert "INFRA" in said or "UNKNOWN" in said
    assert "CODE" not in said
