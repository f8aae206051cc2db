"""The thresholds of the pipeline's file on real days, computed by the pipeline and judged by Airflow's side."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, STATE, run_in

AIRFLOW_PYTHON = ROOT / ".venv" / "bin" / "python"
FIRST, LAST = "2020-03-09", "2020-03-31"


@pytest.fixture(scope="module")
def outcome(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the replay of the weeks in which the city shut down; days that were computed before are not computed again."""
    folder = tmp_path_factory.mktemp("replay")
    script = ROOT / "tests" / "bench" / "day_documents.py"
    span = ("--raw", str(raw), "--from", FIRST, "--to", LAST, "--out", str(STATE / "day_documents"))
    computed = run_in(folder, sys.executable, str(script), *span)
    assert computed.returncode == 0, computed.stderr
    command = [str(AIRFLOW_PYTHON), "-m", "retrain.commands.alerts_replay", "--json"]
    argv = [*command, "--documents", computed.stdout.strip()]
    done = subprocess.run(argv, cwd=ROOT / "plugins", capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_city_shutting_down_is_one_incident_and_the_run_of_the_17th_of_march_opens_it(
    outcome: dict[str, Any],
) -> None:
    found = [i["opened"] for i in outcome["incidents"] if i["kind"] == "drift_detected" and i["last"] >= FIRST]
    assert [opened for opened in found if opened <= "2020-04-30"] == ["2020-03-17"]


def test_the_message_that_opens_it_names_the_drifted_features_with_value_and_limit(outcome: dict[str, Any]) -> None:
    (incident,) = (i for i in outcome["incidents"] if i["opened"] == "2020-03-17")
    assert incident["reasons"][0] == "Target drift: speed 0.75 (limit 0.20), duration 0.25 (limit 0.20)."
    assert incident["severity"] == "high"
