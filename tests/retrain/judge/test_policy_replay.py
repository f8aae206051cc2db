"""What a replay counts, on days made up for it; the real ones are replayed by tests/pipeline and `make alerts-replay`."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import PIPELINES

from retrain.deployment.pipeline_file import Drift, Known, Ordinary, Policies, Replay, load_policies
from retrain.judge import policy_replay
from retrain.judge.day import Day, Feature

FIRST = date(2019, 9, 1)
LAST = FIRST + timedelta(days=99)
DRIFTS = range(58, 64)


def document(number: int) -> dict[str, Any]:
    """What the pipeline reports of a day: calm, but for one week of drift."""
    value = 0.3 if number in DRIFTS else 0.05
    features = [{"name": name, "kind": "target", "value": value, "limit": 0.2} for name in ("speed", "duration")]
    rows = {"current": 330, "reference": 1320}
    partition = (FIRST + timedelta(days=number)).isoformat()
    metrics = {name: {"mae": 4.0} for name in ("model", "pair_median", "global_median")}
    return {
        "drift": {"schema_version": 1, "partition": partition, "rows": rows, "features": features},
        "metrics": metrics,
    }


def policies(opened: int, max_share: float = 0.5, first: int = 55) -> Policies:
    known = Known(
        kind="drift_detected",
        first=FIRST + timedelta(days=first),
        last=LAST,
        opened=FIRST + timedelta(days=opened),
    )
    ordinary = Ordinary(first=FIRST, last=LAST, max_share=max_share)
    events = {FIRST + timedelta(days=60): "a strike"}
    return Policies(drift=Drift(report="r"), replay=Replay(ordinary=ordinary, incidents=(known,), events=events))


def days() -> list[Day]:
    found = []
    for number in range(100):
        report = document(number)["drift"]
        features = tuple(Feature(**feature) for feature in report["features"])
        found.append(Day(report["partition"], 330, 1320, {}, features))
    return found


def test_days_that_open_a_message_and_days_in_alert_are_counted() -> None:
    outcome = policy_replay.replayed(days(), policies(opened=60))
    count = outcome.ordinary
    assert (count.days, count.opening, count.in_alert) == (100, 1, 10)
    (incident,) = outcome.incidents
    assert (incident.opened, incident.last, incident.days) == ("2019-10-31", "2019-11-09", 10)
    assert incident.known == "a strike"
    assert outcome.missed == ()


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        pytest.param(policies(opened=59), "opened on 2019-10-31, expected once, on 2019-10-30", id="another day"),
        pytest.param(policies(opened=80, first=75), "opened on no day", id="no incident at all"),
        pytest.param(policies(opened=60, max_share=0.005), "1 of 100 ordinary days (1.00%)", id="too many"),
    ],
)
def test_what_the_file_expects_and_does_not_come_is_missed(expected: Policies, said: str) -> None:
    (sentence,) = policy_replay.replayed(days(), expected).missed
    assert said in sentence


def test_each_threshold_is_moved_both_ways_and_nothing_else() -> None:
    moved = policy_replay.sensitivity(days(), policies(opened=60))
    by_name = {name: sorted(m.value for m in moved if m.threshold == name) for name in {m.threshold for m in moved}}
    assert by_name["drift.days"] == [2, 4]
    assert by_name["drift.min_features"] == pytest.approx([1.6, 2.4])
    assert set(map(len, by_name.values())) == {2}
    assert {(m.value, m.opened) for m in moved if m.threshold == "drift.days"} == {
        (2, ("2019-10-30",)),
        (4, ("2019-11-01",)),
    }
    assert [m.holds for m in moved if m.threshold == "drift.days"] == [False, False]
    assert all(m.holds for m in moved if m.threshold == "drift.confidence")


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
    return policy_replay.main(["--pipeline", "taxi", "--pipelines", str(folder), "--documents", str(file), *more])


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


def test_the_thresholds_are_read_without_any_address() -> None:
    read = load_policies(PIPELINES / "trip_duration.yaml")
    assert read.drift
    assert read.performance
    assert read.replay
