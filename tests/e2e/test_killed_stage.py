"""A backfilled day whose training was killed, as the kernel does when memory is short, and which Airflow retried.

The fixture `killed` (conftest.py) starts it before all other tests, so that they run while its retry waits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from running_stack import DAY_BEFORE, PIPELINE, Killed, Live
from told import incidents, thread

from retrain.results import Promoted, Reproduced

pytestmark = pytest.mark.timeout(900)

Outcome = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def backfilled(live: Live, killed: Killed) -> Outcome:
    """The results of the run's tasks, after its retry has finished."""
    assert live.ended(PIPELINE, killed.run_id)["state"] == "success", live.states(PIPELINE, killed.run_id)
    return live.left_behind(PIPELINE, killed.run_id, "resolve_run", "reproduce", "record_run", "promote")


def test_a_killed_stage_is_retried_in_a_fresh_workspace_and_what_was_done_comes_from_the_cache(
    live: Live, killed: Killed, backfilled: Outcome
) -> None:
    log = live.airflow.log(PIPELINE, killed.run_id, "reproduce", 1)
    assert "StageKilledError" in log
    assert "Stage train was ended by signal 9" in log
    assert live.airflow.tasks(PIPELINE, killed.run_id)["reproduce"]["try_number"] == 2
    assert Path(backfilled["reproduce"]["workspace"]) / "checkout" != killed.checkout
    assert not killed.checkout.exists()
    reproduced = Reproduced.from_json(backfilled["reproduce"])
    assert {"ingest", "prepare", "featurize"} <= set(reproduced.cached)
    assert "train" in reproduced.executed


@pytest.mark.usefixtures("backfilled")
def test_a_failure_that_a_retry_repairs_sends_no_message(live: Live) -> None:
    (backfill,) = (m for m in incidents(live, PIPELINE, "backfill") if str(DAY_BEFORE) in m["text"])
    assert [reply["text"] for reply in thread(live, backfill) if "finished" not in reply["text"]] == []
    assert incidents(live, PIPELINE, "task_failed") == []


def test_a_backfilled_day_runs_and_does_not_promote(backfilled: Outcome) -> None:
    assert backfilled["resolve_run"]["partition"] == str(DAY_BEFORE)
    version = backfilled["record_run"]["model_version"]
    promoted = Promoted.from_json(backfilled["promote"])
    assert promoted == Promoted(promoted=False, version=version, reason="Backfills never promote.")
