"""The start of a task, which each of a thousand tasks a day pays for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_integrity import ADDRESSES, ROOT, laid_out

PIPELINES = 100


@pytest.mark.parametrize("broken", [False, True], ids=["all files are right", "the other files are broken"])
def test_a_task_s_start_reads_its_own_pipeline_s_file_once_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    dags = laid_out(tmp_path, monkeypatch)
    ours = dags / "pipelines" / "trip_duration.yaml"
    for number in range(PIPELINES):
        other = ours.with_name(f"other_{number}.yaml")
        shutil.copy(ours, other)
        if broken:
            other.write_text("schema_version: [")
    started = subprocess.run(
        [sys.executable, Path(__file__).with_name("task_start.py"), "trip_duration", "reproduce"],
        env=os.environ | ADDRESSES | {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    found = json.loads(started.stdout.splitlines()[-1])
    assert found == {"dag": "trip_duration", "task": "reproduce", "opened": ["trip_duration.yaml"]}
