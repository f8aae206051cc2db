"""The days that a schedule runs: each one once, and the watch expects the same days."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from retrain.alerts.message.next_action import rerun
from retrain.alerts.watch.observe.deadlines import deadline, owed
from retrain.deployment.pipeline_file import Deployment, load
from retrain.deployment.sections import Schedule
from retrain.run import partition

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = ROOT / "dags" / "pipelines" / "trip_duration.yaml"
FIRST, LAST = date(2024, 1, 1), date(2025, 12, 31)
EVERY_DAY = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
SCHEDULES = [
    pytest.param("0 6 * * *", "UTC", id="06:00 UTC"),
    pytest.param("0 6 * * *", "Asia/Tokyo", id="06:00 Tokyo"),
    pytest.param("0 5 * * *", "Asia/Kolkata", id="05:00 Kolkata"),
    pytest.param("0 0 * * *", "Europe/Berlin", id="00:00 Berlin"),
    pytest.param("0 1 * * *", "Europe/Berlin", id="01:00 Berlin"),
    pytest.param(
        "30 2 * * *", "Europe/Berlin", id="02:30 Berlin, which is skipped in March and comes twice in October"
    ),
    pytest.param("0 21 * * *", "America/New_York", id="21:00 New York"),
    pytest.param("0 0 * * *", "Africa/Cairo", id="00:00 Cairo, which is skipped in April"),
    pytest.param(
        "30 23 * * *", "America/Scoresbysund", id="23:30 Scoresbysund, which is skipped up to midnight in March"
    ),
]
SOME_DAYS = [
    pytest.param("0 6 * * 1-5", lambda day: day.weekday() < 5, id="weekdays"),
    pytest.param("0 6 * * SUN", lambda day: day.weekday() == 6, id="Sundays"),
    pytest.param("0 6 1,15 * *", lambda day: day.day in (1, 15), id="twice a month"),
    pytest.param("0 6 * * 1", lambda day: day.weekday() == 0, id="Mondays"),
    pytest.param("0 6 1 * *", lambda day: day.day == 1, id="the first of the month"),
]
OWED = [
    *(schedule for schedule in SCHEDULES if schedule.values[1] in ("UTC", "Asia/Tokyo", "America/Scoresbysund")),
    *(pytest.param(schedule.values[0], "Asia/Tokyo", id=str(schedule.id)) for schedule in SOME_DAYS),
]
# Weekdays at those times at which the day in UTC is another one, or the clock changes.
ZONED_WEEKDAYS = [
    pytest.param(schedule.values[0].replace("* * *", "* * 1-5"), schedule.values[1], id=f"weekdays, {schedule.id}")
    for schedule in SCHEDULES
    if schedule.values[1] in ("Asia/Tokyo", "Asia/Kolkata", "America/New_York") or "Berlin, which" in str(schedule.id)
]


@cache
def intervals(cron: str, zone: str) -> tuple[Any, ...]:
    """The data intervals of Airflow's own timetable that start between FIRST and LAST, and some before and after."""
    begin, end = (datetime.combine(day, time(), UTC) for day in (FIRST, LAST))
    return intervals_between(cron, zone, begin - timedelta(days=3), end + timedelta(days=3))


def intervals_between(cron: str, zone: str, begin: datetime, end: datetime) -> tuple[Any, ...]:
    import pendulum
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.interval import CronDataIntervalTimetable

    within = TimeRestriction(earliest=pendulum.instance(begin), latest=pendulum.instance(end), catchup=True)
    timetable, found = CronDataIntervalTimetable(cron, timezone=zone), [None]
    while run := timetable.next_dagrun_info(last_automated_data_interval=found[-1], restriction=within):
        found.append(run.data_interval)
    return tuple(found[1:])


def days_run(cron: str, zone: str) -> list[date]:
    schedule = Schedule(cron=cron, timezone=zone, start_date=FIRST)
    found = [partition.of_interval(interval.start, schedule) for interval in intervals(cron, zone)]
    return [day for day in found if FIRST <= day <= LAST]


def deployed(monkeypatch: pytest.MonkeyPatch, cron: str, zone: str) -> Deployment:
    for name in ("REPOSITORY", "RAW_BUCKET", "STORE_BUCKET", "LEDGER_BUCKET"):
        monkeypatch.setenv(f"RETRAIN_{name}", "some-bucket")
    monkeypatch.setenv("RETRAIN_SLACK_CHANNEL", "#alerts")
    plain = load(PIPELINE)
    return plain.model_copy(update={"schedule": Schedule(cron=cron, timezone=zone, start_date=FIRST)})


def days_owed(deployment: Deployment, at: time) -> list[date]:
    """The days that the watch expects over the two years and the month after, asked once a week."""
    looks = [datetime.combine(FIRST, time(12), UTC) + timedelta(weeks=n) for n in range(2 * 53 + 4)]
    since = looks[0] - timedelta(days=30)
    found = {date.fromisoformat(day) for look in looks for day, _ in owed(deployment, at, since, look)}
    return sorted(day for day in found if day <= LAST)


@pytest.mark.parametrize(("cron", "zone"), SCHEDULES)
def test_a_daily_schedule_runs_each_day_of_its_zone_once_whatever_the_clock_does(cron: str, zone: str) -> None:
    assert days_run(cron, zone) == EVERY_DAY


@pytest.mark.parametrize(("cron", "counts"), SOME_DAYS)
def test_a_schedule_of_some_days_runs_the_days_that_it_names(cron: str, counts: Any) -> None:
    assert days_run(cron, "Europe/Berlin") == [day for day in EVERY_DAY if counts(day)]


@pytest.mark.parametrize(("cron", "zone"), OWED)
def test_the_watch_owes_the_days_that_the_schedule_runs(cron: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert days_owed(deployed(monkeypatch, cron, zone), time(23, 45)) == days_run(cron, zone)


@pytest.mark.parametrize(("cron", "zone"), ZONED_WEEKDAYS)
def test_a_schedule_of_weekdays_runs_and_owes_the_weekdays_of_its_zone(
    cron: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weekdays = [day for day in EVERY_DAY if day.weekday() < 5]
    assert days_run(cron, zone) == weekdays
    assert days_owed(deployed(monkeypatch, cron, zone), time(23, 45)) == weekdays


@pytest.mark.parametrize(("cron", "zone"), [*SCHEDULES, *ZONED_WEEKDAYS, *OWED[-len(SOME_DAYS) :]])
def test_the_dag_the_watch_and_the_deadline_mean_the_same_day_of_a_run(
    cron: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployed(monkeypatch, cron, zone)
    schedule, expected = deployment.schedule, deployment.expected
    assert expected is not None
    found = intervals(cron, zone)
    for run, following in pairwise(found):
        now, start = run.end + timedelta(minutes=1), run.start.astimezone(UTC)
        dag_run = SimpleNamespace(run_type="scheduled", data_interval_start=start)
        day = partition.of_template({}, dag_run, schedule, clock=lambda now=now: now)
        told = {"run_type": "scheduled", "conf": None, "data_interval_start": start.isoformat()}
        assert partition.of_api(told, schedule, now=now) == day
        # The run starts when the next one's interval does: its deadline is on that one's day.
        that_day = partition.of_interval(following.start, schedule)
        due = deadline(deployment, expected, date.fromisoformat(day), time(23, 45))
        assert due == datetime.combine(that_day, time(23, 45), ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(("cron", "zone"), OWED)
def test_no_day_is_owed_before_its_run_has_started(cron: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = deployed(monkeypatch, cron, zone)
    ends = {
        partition.of_interval(interval.start, deployment.schedule): interval.end for interval in intervals(cron, zone)
    }
    now = datetime(2025, 12, 5, 12, tzinfo=UTC)
    due = dict(owed(deployment, time(23, 59), now - timedelta(days=14), now))
    assert due
    assert all(moment > ends[date.fromisoformat(day)] for day, moment in due.items())


def test_a_backfill_whose_dates_have_the_zones_offset_runs_the_days_that_they_name() -> None:
    from airflow._shared.timezones.timezone import parse

    asked = re.search(
        r"--from-date (\S+[+]09:00) --to-date (\S+[+]09:00)", (ROOT / "infra" / "docs" / "days.md").read_text()
    )
    assert asked
    found = intervals_between("0 6 * * *", "Asia/Tokyo", *map(parse, asked.groups()))
    schedule = Schedule(cron="0 6 * * *", timezone="Asia/Tokyo", start_date=FIRST)
    days = [partition.of_interval(interval.start, schedule).isoformat() for interval in found]
    assert (days[0], days[-1], len(days)) == ("2020-03-02", "2020-03-08", 7)


@pytest.mark.parametrize(("cron", "counts"), SOME_DAYS)
def test_a_backfill_runs_only_the_days_that_the_schedule_runs_also_for_a_single_one(cron: str, counts: Any) -> None:
    """With the dates of the command that an alert about missing days has."""
    schedule, zone = Schedule(cron=cron, timezone="Asia/Tokyo", start_date=FIRST), ZoneInfo("Asia/Tokyo")
    wanted = [day.isoformat() for day in EVERY_DAY[:100] if counts(day)]
    for asked in (wanted, wanted[:1]):
        command = rerun("taxi", [asked[0], asked[-1]], "Asia/Tokyo")
        begin = re.search(r"--from-date (\S+)", command[0])
        end = re.search(r"--to-date (\S+)", command[-1])
        assert begin
        assert end
        span = (datetime.fromisoformat(each[1]).astimezone(UTC) for each in (begin, end))
        found = [
            partition.of_interval(run.start, schedule).isoformat() for run in intervals_between(cron, str(zone), *span)
        ]
        assert found == asked


def test_a_run_of_before_a_change_of_the_schedule_keeps_its_day() -> None:
    changed = yaml.safe_load(PIPELINE.read_text())["schedule"] | {"cron": "0 9 * * *"}
    assert partition.of_interval(datetime(2020, 3, 9, 6, tzinfo=UTC), Schedule(**changed)) == date(2020, 3, 9)
