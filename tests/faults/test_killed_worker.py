"""A task whose worker is killed with -9: its failure is reported, although the worker itself cannot report it."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from running_stack import DAY, Live, wait_until
from told import incidents

pytestmark = pytest.mark.timeout(1200)


def test_a_worker_killed_in_mid_stage_is_reported_after_its_last_try_and_never_as_code(warm: Live) -> None:
    # Its release waits ten minutes in `train`.
    warm.airflow.trigger("killed_worker", "killed", {"partition": DAY.isoformat(), "release": "v1.3.0"})
    stage = wait_until(lambda: _training(warm), 240, "no training to kill", every=0.1)
    for process in _from_worker_to_stage(stage):
        process.kill()
    assert warm.ended("killed_worker", "killed", 400)["state"] == "failed"
    told = wait_until(lambda: incidents(warm, "killed_worker", "task_failed"), 180, "no message")
    said = json.dumps([m["blocks"] for m in told], ensure_ascii=False)
    assert "INFRA" in said or "UNKNOWN" in said
    assert "CODE" not in said


def _training(live: Live) -> psutil.Process | None:
    folder = live.stack.state / "retrain" / "workspaces" / "killed_worker"
    for process in psutil.process_iter(["cwd", "cmdline"]):
        in_folder = Path(process.info["cwd"] or "/").is_relative_to(folder)
        if in_folder and (process.info["cmdline"] or [])[-2:] == ["-m", "pipeline.train"]:
            return process
    return None


def _from_worker_to_stage(stage: psutil.Process) -> list[psutil.Process]:
    """The stage and its ancestors up to the executor's worker: the processes that end together when a host is lost."""
    chain = [stage, *stage.parents()]
    worker = next(
        n for n, p in enumerate(chain) if "airflow" in " ".join(p.cmdline()) and "scheduler" in " ".join(p.cmdline())
    )
    return chain[:worker]
