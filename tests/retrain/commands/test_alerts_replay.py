"""The command that replays the policies over days of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import PIPELINES
from replayed_days import FIRST, LAST, document

from retrain.commands import alerts_replay


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "days.jsonl"
    path.write_text("".join(json.dumps(document(n)) + "\n" for n in range(100)))
    return path


def written(folder: Path, opened: str) -> Path:
    content = yaml.safe_load((PIPELINES / "trip_duration.yaml").read_text())
    content["replay"] = {
        "ordinary": {"first": FIRST, "last": LAST, "max_share": 0.5},
        "incidents": [{"kind": "drift_detected", "first": FIRST, "last": LAST, "opened": opened}],
    }
    (folder / "taxi.yaml").write_text(yaml.safe_dump(content))
    return folder


def run(folder: Path, file: Path, *more: str) -> int:
    return alerts_replay.main(["--pipeline", "taxi", "--pipelines", str(folder), "--documents", str(file), *more])


def test_the_command_fails_when_asked_to_check_and_something_is_missed(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(written(tmp_path, "2019-10-31"), file, "--check") == 0
    assert "2019-10-31 to 2019-11-09" in capsys.readouterr().out
    folder = written(tmp_path, "2019-11-03")
    assert run(folder, file) == 0
    assert run(folder, file, "--check") == 1
    assert "Missed: drift_detected from" in capsys.readouterr().out


def test_the_command_answers_with_json(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(tmp_path, "2019-10-31"), file, "--json", "--sensitivity") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ordinary"] == {"days": 100, "opening": 1, "in_alert": 10}
    assert answer["incidents"][0]["reasons"][0] == "Target drift: duration 0.30 (limit 0.20), speed 0.30 (limit 0.20)."
    assert answer["sensitivity"]


def test_a_file_without_days_is_named_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "days.jsonl").write_text("no days\n")
    assert run(written(tmp_path, "2019-10-31"), tmp_path / "days.jsonl") == 1
    assert "ReportError" in capsys.readouterr().err
