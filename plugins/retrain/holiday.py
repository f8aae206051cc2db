"""Public holidays, by a pipeline's calendar. Pure: the library computes them."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from retrain.deployment import Calendar


def name(day: date, calendar: Calendar | None) -> str | None:
    """What is celebrated on a day, or None on an ordinary one and without a calendar."""
    return _of_year(calendar, day.year).get(day.isoformat()) if calendar else None


@lru_cache
def _of_year(calendar: Calendar, year: int) -> dict[str, str]:
    import holidays

    found = holidays.country_holidays(calendar.country, subdiv=calendar.subdivision, years=year, language="en_US")
    return {day.isoformat(): str(what) for day, what in found.items()}
