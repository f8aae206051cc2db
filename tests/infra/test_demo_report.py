"""The demo's verdict on its own outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from demo_days import FIRST, LAST, PlayedDay
from demo_report import ALERT_ON, judge, texts

DAY = PlayedDay(
    partition="",
    run_id="run",
    run_type="manual",
    state="success",
    release="v1.0.0",
    commit="9f2c1e7d4b6a",
    rows=160,
    mae=4.4,
    baseline_mae=4.8,
    drifted={},
    alert=False,
    model_version="1",
    promoted=False,
    promotion="mae 4.4 does not beat the champion's 4.3.",
    from_cache=1,
    mlflow_run=None,
    seconds=20.0,
)


def played(**changes: PlayedDay) -> list[PlayedDay]:
    """The days as they should be, except those of `changes`, named like `on_2020_03_12`."""
    days = [(FIRST + timedelta(days=n)).isoformat() for n in range((LAST - FIRST).days + 1)]
    expected = [replace(DAY, partition=day, alert=day >= ALERT_ON) for day in days]
    return [changes.get(f"on_{day.partition.replace('-', '_')}", day) for day in expected]


MESSAGES = ["2 features drifted on 2020-03-17", "4 features drifted on 2020-03-18"]


def test_the_expected_outcome_has_no_problem() -> None:
    assert judge(played(), MESSAGES) == []


def test_a_day_without_a_run_is_named() -> None:
    assert judge([day for day in played() if day.partition != "2020-03-12"], MESSAGES) == ["2020-03-12 did not run."]


def test_a_day_that_is_not_green_is_named_with_its_run() -> None:
    failed = replace(DAY, partition="2020-03-10", state="failed", run_id="broken")
    assert judge(played(on_2020_03_10=failed), MESSAGES) == ["2020-03-10 ended as failed: run broken."]


def test_a_backfilled_day_that_was_promoted_is_a_problem() -> None:
    promoted = replace(DAY, partition="2020-03-10", run_type="backfill", promoted=True, promotion="mae 4.3")
    assert judge(played(on_2020_03_10=promoted), MESSAGES) == ["2020-03-10 was backfilled and promoted: mae 4.3"]


@pytest.mark.parametrize("day", ["2020-03-16", "2020-03-18"], ids=["early", "late"])
def test_a_first_alert_on_another_day_is_a_problem(day: str) -> None:
    days = [replace(each, alert=each.partition >= day) for each in played()]
    [problem] = judge(days, [*MESSAGES, "1 feature drifted on 2020-03-16"])
    assert problem.startswith(f"The first drift alert is of {day}; it should be of {ALERT_ON}")


def test_an_alert_without_a_message_is_a_problem() -> None:
    assert judge(played(), MESSAGES[:1]) == ["2020-03-18 alerted, but Slack has no message about it."]


def test_a_backfilled_day_needs_no_message_of_its_own() -> None:
    backfilled = replace(DAY, partition="2020-03-18", run_type="backfill", alert=True)
    assert judge(played(on_2020_03_18=backfilled), MESSAGES[:1]) == []


def test_a_reply_in_a_thread_counts_as_a_message() -> None:
    shown = [{"text": MESSAGES[0], "replies": [{"text": MESSAGES[1]}]}]
    assert judge(played(), texts(shown)) == []
