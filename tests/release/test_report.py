"""The text of a report. Its runs through DVC are tested by `make report`, which runs on each pull request."""

from __future__ import annotations

from report import write

COMMITS = {"main": "a" * 40, "change": "b" * 40}


def test_a_metric_that_differs_is_shown_and_one_that_does_not_is_counted() -> None:
    metrics = {
        "reports/metrics.json": {
            "model.mae": {"old": 4.449, "new": 4.458, "diff": 0.009},
            "rows": {"old": 328, "new": 328, "diff": 0},
        }
    }
    said = write("2019-09-10", COMMITS, metrics, {}, {})
    assert "| model.mae | 4.449 | 4.458 | +0.009 |" in said
    assert "| rows" not in said
    assert "Metrics that are the same: 1." in said


def test_a_change_without_effect_says_so_in_one_line() -> None:
    same = {"reports/metrics.json": {"model.mae": {"old": 4.4, "new": 4.4, "diff": 0.0}}}
    said = write("2019-09-10", COMMITS, same, {}, {})
    assert "Every metric of the day is the same." in said
    assert "|" not in said


def test_a_metric_that_only_the_change_has_is_shown() -> None:
    said = write("2019-09-10", COMMITS, {"m.json": {"model.mape": {"old": None, "new": 0.2}}}, {}, {})
    assert "| model.mape | - | 0.2 | - |" in said


def test_a_changed_parameter_and_each_picture_are_named() -> None:
    params = {"params.yaml": {"train.learning_rate": {"old": 0.06, "new": 0.08, "diff": 0.02}}}
    said = write("2019-09-10", COMMITS, {}, params, {"error_by_hour.png": "Error by hour"})
    assert "Parameters: `train.learning_rate` 0.06 → 0.08." in said
    assert "![Error by hour](error_by_hour.png)" in said
