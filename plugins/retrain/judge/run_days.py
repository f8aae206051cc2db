"""The days that a policy counts: those on which the schedule runs, so that a weekly pipeline has a week as its step."""

from __future__ import annotations

from datetime import date

from retrain.deployment import cron
from retrain.deployment.sections import Schedule

_EVERY_DAY = "0 0 * * *"


def runs_before(schedule: Schedule | None, partition: str, count: int) -> str:
    """The partition of the run that the schedule starts `count` runs before that of `partition`; without a schedule, of every day."""
    text = schedule.cron if schedule else _EVERY_DAY
    return cron.runs_before(text, date.fromisoformat(partition), count).isoformat()
