"""When Airflow's database is cleaned next."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from retrain.deployment import cron
from retrain.deployment.housekeeping_file import HousekeepingLimits
from retrain.housekeeping.database import DatabaseCleaned

BEFORE_THE_DAG = timedelta(hours=1)  # so that the housekeeping DAG reports the result of the same day
RETRY = timedelta(hours=1)
DAY = timedelta(days=1)


def next_cleaning(last: DatabaseCleaned | None, limits: HousekeepingLimits, now: datetime) -> datetime:
    """The time of the next cleaning: now without a last one, an hour after a failed one, else the next time of day after it.

    The time of day is an hour before that of the housekeeping DAG, every day, even if the DAG does not run every day.
    """
    if last is None:
        return now
    if last.error is not None:
        return min(last.at + RETRY, now + RETRY)
    zone = ZoneInfo(limits.timezone)
    starts = cron.time_of(limits.cron)
    ended = last.at.astimezone(zone)
    # A wall clock has no hour before the DAG on some days: the hour is taken off in UTC. Three days cover every shift of the clock.
    times = (
        datetime.combine((ended + n * DAY).date(), starts, zone).astimezone(now.tzinfo) - BEFORE_THE_DAG
        for n in range(3)
    )
    return min(next(time for time in times if time > last.at), now + DAY)
