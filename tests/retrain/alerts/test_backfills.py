"""A backfill's troubles are lines of its own message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from test_incident import FAILED, good

from retrain.alerts.backfills import RunStates, counted, into_thread
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Step

IN_BACKFILL = replace(FAILED, backfill=True)
SOON, LATER = datetime(2020, 3, 11, 6, 5, 30, tzinfo=UTC), datetime(2020, 3, 11, 6, 11, tzinfo=UTC)


def backfill(subject: str, begin: str, end: str) -> Incident:
    return Incident(
        Key("trip_duration", Kind.BACKFILL, subject), "2020-03-11T06:00:00.000+00:00", None, {"from": begin, "to": end}
    )


def test_a_failure_goes_to_the_newest_backfill_that_has_its_day() -> None:
    known = [
        backfill("9", "2020-03-01", "2020-03-14"),
        backfill("10", "2020-03-08", "2020-03-14"),
        backfill("11", "2020-01-01", "2020-01-14"),
    ]
    told = into_thread(IN_BACKFILL, known, SOON)
    assert told is not None
    assert (told.kind, told.subject, told.facts["kind"]) == (Kind.BACKFILL, "10", Kind.TASK_FAILED)


def test_a_failure_waits_for_its_backfill_to_be_known_but_not_for_ever() -> None:
    assert into_thread(IN_BACKFILL, [], SOON) is None
    assert into_thread(IN_BACKFILL, [], LATER) == FAILED


def test_daily_failures_and_good_ends_stay_what_they_are() -> None:
    known = [backfill("9", "2020-03-01", "2020-03-14")]
    assert into_thread(FAILED, known, SOON) == FAILED
    mended = good("2020-03-10", backfill=True)
    assert mended.step is Step.GOOD
    assert into_thread(mended, known, SOON) == mended


def test_the_counter_shows_the_runs_by_their_state() -> None:
    described = {
        "id": 4,
        "from_date": "2020-03-01T00:00:00Z",
        "to_date": "2020-03-14T00:00:00Z",
        "completed_at": None,
        "is_paused": False,
        "dag_run_conf": {"release": "v1.0.0"},
    }
    runs = RunStates(done=2, failed=1, running=2)
    assert counted(described, runs, "UTC").written() == {
        "id": 4,
        "from": "2020-03-01",
        "to": "2020-03-14",
        "total": 5,
        "done": 2,
        "failed": 1,
        "running": 2,
        "state": "running",
        "release": "v1.0.0",
    }
    ended = {**described, "completed_at": "2020-03-20T00:00:00Z", "dag_run_conf": None}
    assert counted(ended, runs, "UTC").state == "finished"


def test_its_days_are_those_of_the_schedules_zone() -> None:
    """Airflow keeps the dates that a backfill was started with in UTC."""
    asked = {"from_date": "2020-03-01T15:00:00Z", "to_date": "2020-03-08T14:59:00Z"}
    facts = counted(
        {"id": 4, "completed_at": None, "is_paused": False, "dag_run_conf": None, **asked},
        RunStates(0, 0, 0),
        "Asia/Tokyo",
    )
    assert (facts.first_day, facts.last_day) == ("2020-03-02", "2020-03-08")
