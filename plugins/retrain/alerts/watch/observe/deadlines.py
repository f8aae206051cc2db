"""By when a day's data and a day's run are owed. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retrain.deployment import cron, holiday
from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Expected

_LOOK_BACK = timedelta(days=14)  # what was due before has been told
_SATURDAY = 5
_LONGEST_BREAK = 31  # days without a working day: no calendar has that


def deadline(deployment: Deployment, expected: Expected, partition: date, at: time) -> datetime:
    """The moment (UTC) by which something of the partition is owed: `at` on the day its run starts, or on the next one that counts."""
    day = cron.next_day(deployment.schedule.cron, partition)
    for _ in range(_LONGEST_BREAK):
        free = ("weekends" in expected.not_on and day.weekday() >= _SATURDAY) or (
            "holidays" in expected.not_on and holiday.name(day, deployment.calendar) is not None
        )
        if not free:
            break
        day += timedelta(days=1)
    return datetime.combine(day, at, tzinfo=ZoneInfo(deployment.schedule.timezone)).astimezone(UTC)


def owed(deployment: Deployment, at: time, since: datetime, now: datetime) -> list[tuple[str, datetime]]:
    """The partitions whose deadline has passed, oldest first, each with its deadline: only days that the schedule runs.

    `since` is when the watch first started: a deployment owes no day before it existed.
    """
    if deployment.expected is None:
        return []
    schedule = deployment.schedule
    after = max(since, now - _LOOK_BACK)
    found: list[tuple[str, datetime]] = []
    partition = cron.previous_day(schedule.cron, now.astimezone(ZoneInfo(schedule.timezone)).date())
    while partition >= schedule.start_date:
        due = deadline(deployment, deployment.expected, partition, at)
        if due <= after:
            break
        if due <= now:
            found.append((partition.isoformat(), due))
        partition = cron.previous_day(schedule.cron, partition)
    return found[::-1]
