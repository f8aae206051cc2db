"""What a replay counts, on days made up for it; the real ones are replayed by tests/pipeline and `make alerts-replay`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import PIPELINES
from replayed_days import FIRST, LAST, days

from retrain.deployment.pipeline_file import load_policies
from retrain.deployment.policies import Drift, Known, Ordinary, Policies, Replay
from retrain.judge import policy_replay


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


def test_the_thresholds_are_read_without_any_address() -> None:
    read = load_policies(PIPELINES / "trip_duration.yaml")
    assert read.drift
    assert read.performance
    assert read.replay
