"""By when a day's data and a day's run are owed. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retrain import holiday
from retrain.deployment import Deployment, Expected

_LOOK_BACK = 14  # days; what was owed longer ago has been told
_SATURDAY = 5
_LONGEST_BREAK = 31  # days without a working day: no calendar has that


def deadline(deployment: Deployment, expected: Expected, partition: date, at: time) -> datetime:
    """The moment (UTC) by which something of the partition is owed: `at` on the next day, or on the next one that counts."""
    day = partition + timedelta(days=1)
    for _ in range(_LONGEST_BREAK):
        free = ("weekends" in expected.not_on and day.weekday() >= _SATURDAY) or (
            "holidays" in expected.not_on and holiday.name(day, deployment.calendar) is not None
        )
        if not free:
            break
        day += timedelta(days=1)
    return datetime.combine(day, at, tzinfo=ZoneInfo(deployment.schedule.timezone)).astimezone(UTC)


def owed(deployment: Deployment, at: time, since: datetime, now: datetime) -> list[tuple[str, datetime]]:
    """The partitions whose deadline has passed, oldest first, each with its deadline.

    `since` is when the watch first started: a deployment owes no day before it existed.
    """
    if deployment.expected is None:
        return []
    today = now.astimezone(ZoneInfo(deployment.schedule.timezone)).date()
    found = []
    for back in range(_LOOK_BACK, 0, -1):
        partition = today - timedelta(days=back)
        due = deadline(deployment, deployment.expected, partition, at)
        if since < due <= now and partition >= deployment.schedule.start_date:
            found.append((partition.isoformat(), due))
    return found
