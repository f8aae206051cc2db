"""Which days the watch asks S3 for in a look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from retrain.alerts.watch.observe.asking import AFTER_ITS_END, APART, WHILE_OPEN, Asking, AwaitedDay

NOW = datetime(2020, 3, 20, 12, tzinfo=UTC)


def asked_at(now: datetime, asking: Asking, *days: AwaitedDay) -> list[str]:
    """The days that are asked for at that time."""
    due = asking.due("taxi", days, now)
    for day in days:
        if day.day in due:
            asking.asked("taxi", day, now)
    return due


def left(*days: int, opened: bool = False) -> list[AwaitedDay]:
    """Days whose deadline passed long ago and that an incident names."""
    return [AwaitedDay(f"2020-03-{day:02}", None, known_missing=True, open=opened) for day in days]


def test_a_day_is_asked_for_in_each_look_for_a_day_after_its_deadline() -> None:
    asking, day = Asking(), AwaitedDay("2020-03-18", NOW, known_missing=True, open=True)
    for hours in (0, 1, 23):
        assert asked_at(NOW + timedelta(hours=hours, seconds=15), asking, day) == ["2020-03-18"]
    after = NOW + timedelta(days=1)
    assert asked_at(after, asking, day) == []
    assert asked_at(after + WHILE_OPEN, asking, day) == ["2020-03-18"]


def test_a_day_that_no_look_has_asked_for_yet_is_asked_for_at_once_unless_an_incident_names_it() -> None:
    unknown = [AwaitedDay(f"2020-03-0{day}", NOW - timedelta(days=10)) for day in (1, 2, 3)]
    assert asked_at(NOW, Asking(), *unknown) == ["2020-03-01", "2020-03-02", "2020-03-03"]


def test_older_days_are_asked_for_one_after_the_other() -> None:
    asking = Asking()
    assert asked_at(NOW, asking, *left(1, 2)) == ["2020-03-01"]
    assert asked_at(NOW + APART / 2, asking, *left(1, 2)) == []
    assert asked_at(NOW + APART, asking, *left(1, 2)) == ["2020-03-02"]


def test_a_day_of_an_ended_incident_is_asked_for_once_a_day_and_one_of_an_open_incident_each_hour() -> None:
    for days, pause in ((left(1), AFTER_ITS_END), (left(1, opened=True), WHILE_OPEN)):
        asking = Asking()
        assert asked_at(NOW, asking, *days) == ["2020-03-01"]
        assert asked_at(NOW + pause - timedelta(seconds=1), asking, *days) == []
        assert asked_at(NOW + pause, asking, *days) == ["2020-03-01"]


def test_a_day_whose_run_was_reported_is_asked_for_until_s3_has_answered() -> None:
    asking = Asking()
    asked_at(NOW, asking, *left(1))
    asking.note({"taxi": {"2020-03-01", "2020-03-09"}})
    assert asking.due("taxi", left(1), NOW) == ["2020-03-01"]  # S3 does not answer
    assert asked_at(NOW, asking, *left(1)) == ["2020-03-01"]
    assert asked_at(NOW, asking, *left(1)) == []


def test_the_days_of_one_pipeline_hold_up_no_other() -> None:
    asking = Asking()
    assert asked_at(NOW, asking, *left(1)) == ["2020-03-01"]
    assert asking.due("fares", left(1), NOW) == ["2020-03-01"]
