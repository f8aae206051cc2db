"""Cron expressions with at most one run a day, as Airflow reads them. Dates and times are in the schedule's time zone."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

# A fixed minute and hour, then any day, month and weekday. `R` and `H` name another day each time that they are read.
_ONCE_A_DAY = re.compile(r"\d{1,2} \d{1,2}( (?!\S*\b[rRhH]\b)\S+){3}", re.ASCII)
_EVERY_DAY = re.compile(r"\d{1,2} \d{1,2} \* \* \*", re.ASCII)
_SOME_DAY = date(2026, 1, 1)


def check(text: str) -> str:
    """Return the expression if it starts at most one run a day.

    Raises:
        ValueError: it is not a cron expression of five fields, may start several runs a day, or never starts one.
    """
    if not _ONCE_A_DAY.fullmatch(text):
        raise ValueError(
            f"{text!r} may start several runs a day, and a run is about one day. Write five fields, the first two "
            "(minute and hour) as plain numbers, such as 0 6 * * *"
        )
    try:
        next_day(text, _SOME_DAY)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a cron expression that ever starts a run ({error}). Correct it") from error
    return text


def time_of(text: str) -> time:
    """The time of day at which the cron starts its runs."""
    minute, hour = text.split()[:2]
    return time(int(hour), int(minute))


def starts_on(text: str, day: date) -> bool:
    """True if the cron starts a run on this day."""
    return next_day(text, day - timedelta(days=1)) == day


def next_day(text: str, day: date) -> date:
    """The first day after `day` on which the cron starts a run."""
    found: datetime = _ticks(text, day).get_next(datetime)
    return found.date()


@lru_cache(maxsize=4096)  # the windows of a policy overlap, and croniter is slow
def previous_day(text: str, day: date) -> date:
    """The last day before `day` on which the cron starts a run."""
    found: datetime = _ticks(text, day).get_prev(datetime)
    return found.date()


def runs_before(text: str, day: date, count: int) -> date:
    """The day of the run that the cron starts `count` runs before that of `day`."""
    if _EVERY_DAY.fullmatch(text):
        return day - timedelta(days=count)
    for _ in range(count):
        day = previous_day(text, day)
    return day


def _ticks(text: str, day: date) -> Any:
    # Imported here because the day of a run is also computed where croniter is not installed.
    from croniter import croniter

    return croniter(text, datetime.combine(day, time_of(text)))
