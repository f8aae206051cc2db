"""The deadlines of a pipeline's days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retrain.deployment import cron, holiday
from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Expected

_LOOK_BACK = timedelta(days=14)  # older deadlines have been reported
_SATURDAY = 5
_LONGEST_BREAK = 31  # days without a working day: no calendar has that


def deadline(deployment: Deployment, expected: Expected, partition: date, at: time) -> datetime:
    """The partition's deadline (UTC): the time `at` on the day that its run starts, or on the next working day."""
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
    """The partitions whose deadline has passed, oldest first, each (YYYY-MM-DD) with its deadline (UTC).

    Only days that the schedule runs count, and only deadlines after `since`, when the watch first started.
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
