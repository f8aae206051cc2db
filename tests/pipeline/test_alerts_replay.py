"""The thresholds of the pipeline's file on real days, as the pipeline reports them and Airflow's side judges them.

The reports of the weeks in which the city shut down are kept in march_2020.jsonl: computing them takes longer than judging them.
`make alerts-replay` computes those of three years.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SHUTDOWN

sys.path.insert(0, str(ROOT / "tests" / "bench"))

from day_documents import document

AIRFLOW_PYTHON = ROOT / ".venv" / "bin" / "python"
REPORTS = Path(__file__).with_name("march_2020.jsonl")


@pytest.fixture(scope="module")
def reports() -> dict[str, Any]:
    """Return the kept reports, by partition."""
    lines = REPORTS.read_text().splitlines()
    return {str(report["drift"]["partition"]): report for report in map(json.loads, lines)}


@pytest.fixture(scope="module")
def outcome() -> dict[str, Any]:
    """Return the replay of the kept reports."""
    command = [str(AIRFLOW_PYTHON), "-m", "retrain.commands.alerts_replay", "--json", "--documents", str(REPORTS)]
    done = subprocess.run(command, cwd=ROOT / "plugins", capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def assert_same(kept: Any, computed: Any, where: str) -> None:
    """Compare two reports; numbers may differ by what another processor makes of their last digit."""
    if isinstance(kept, dict):
        assert list(kept) == sorted(computed), where
        for name in kept:
            assert_same(kept[name], computed[name], f"{where}.{name}")
    elif isinstance(kept, list):
        assert len(kept) == len(computed), where
        for number, (one, other) in enumerate(zip(kept, computed, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    else:
        assert computed == (pytest.approx(kept, abs=0.02) if isinstance(kept, float) else kept), where


def test_the_pipeline_still_reports_the_17th_of_march_as_it_is_kept(reports: dict[str, Any], trips: Path) -> None:
    """After a change that is meant: `make alerts-replay`, then copy the lines of those days from the file in .local/day_documents."""
    assert_same(reports[str(SHUTDOWN)], document(SHUTDOWN, trips), "")


def test_every_day_of_those_weeks_with_enough_rows_is_kept(reports: dict[str, Any]) -> None:
    days = [date(2020, 3, day) for day in range(9, 32)]
    # The 28th has 17 rows, below the pipeline's floor: see test_refusals.
    assert list(reports) == [str(day) for day in days if day != date(2020, 3, 28)]


def test_the_city_shutting_down_is_one_incident_and_the_run_of_the_17th_of_march_opens_it(
    outcome: dict[str, Any],
) -> None:
    found = [i["opened"] for i in outcome["incidents"] if i["kind"] == "drift_detected"]
    assert found == ["2020-03-17"]


def test_the_message_that_opens_it_names_the_drifted_features_with_value_and_limit(outcome: dict[str, Any]) -> None:
    (incident,) = (i for i in outcome["incidents"] if i["opened"] == "2020-03-17")
    assert incident["reasons"][0] == "Target drift: speed 0.75 (limit 0.20), duration 0.25 (limit 0.20)."
    assert incident["severity"] == "high"
