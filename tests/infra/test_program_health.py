"""The health of a program that does not listen, from its heartbeat file and its last result."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from health import OLDEST_HEARTBEAT, ProgramHealth, check_health
from programs import Program
from supervision import ProgramState

STARTED = time.time() - 1000


@pytest.fixture
def program(tmp_path) -> Program:
    return Program("cleaner", "airflow", (), {}, tmp_path, heartbeat=tmp_path / "beat", result=tmp_path / "result.json")


def health(stack, program: Program, *, beat_ago: float | None = 0) -> ProgramHealth:
    if beat_ago is not None:
        program.heartbeat.touch()
        os.utime(program.heartbeat, (time.time() - beat_ago,) * 2)
    running = ProgramState(program.name, "RUNNING", 1, STARTED, "")
    return check_health(stack, [program], {program.name: running})[program.name]


def test_a_program_is_healthy_while_it_touches_its_heartbeat(stack, program):
    assert health(stack, replace(program, result=None)) == ProgramHealth(True, "heartbeat")


@pytest.mark.parametrize(
    ("beat_ago", "said"),
    [
        pytest.param(None, "no heartbeat yet", id="never"),
        pytest.param(1100, "no heartbeat since its start", id="of the process before"),
        pytest.param(OLDEST_HEARTBEAT + 1, "no heartbeat for 181 s", id="of long ago"),
    ],
)
def test_without_a_fresh_heartbeat_it_is_unhealthy(stack, program, beat_ago, said):
    assert health(stack, program, beat_ago=beat_ago) == ProgramHealth(False, said)


def test_status_shows_the_last_result(stack, program):
    assert health(stack, program).detail == "heartbeat, no result yet"
    program.result.write_text(
        json.dumps({"at": datetime.now(UTC).isoformat(), "removed": {"a": 4, "b": 12}, "error": None})
    )
    assert "heartbeat, 16 rows removed at " in health(stack, program).detail


def test_a_failed_result_is_shown_and_the_program_that_tries_again_is_healthy(stack, program):
    program.result.write_text(json.dumps({"at": datetime.now(UTC).isoformat(), "removed": {}, "error": "No space."}))
    assert (health(stack, program).healthy, health(stack, program).detail[-9:]) == (True, "No space.")


def test_a_result_that_cannot_be_read_is_named(stack, program):
    program.result.write_text("{")
    assert f"{program.result} cannot be read" in health(stack, program).detail
