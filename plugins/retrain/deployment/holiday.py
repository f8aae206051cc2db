"""Public holidays, by a pipeline's calendar. Pure: the library `holidays` computes them."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from retrain.errors import ConfigurationError

if TYPE_CHECKING:
    from retrain.deployment.pipeline_file import Calendar


def name(day: date, calendar: Calendar | None) -> str | None:
    """What is celebrated on a day, or None on an ordinary one and without a calendar."""
    return _of_year(calendar, day.year).get(day.isoformat()) if calendar else None


@lru_cache
def check(calendar: Calendar) -> None:
    """ConfigurationError that names key and value if the library does not know the calendar's country or subdivision."""
    import holidays

    key, value = "country", calendar.country
    try:
        holidays.country_holidays(calendar.country)
        key, value = "subdivision", str(calendar.subdivision)
        holidays.country_holidays(calendar.country, subdiv=calendar.subdivision)
    except NotImplementedError as error:
        raise ConfigurationError(
            f"calendar.{key}: the library holidays does not know {value!r} ({error}). Give a name that its documentation lists."
        ) from error


@lru_cache
def _of_year(calendar: Calendar, year: int) -> dict[str, str]:
    import holidays

    check(calendar)
    found = holidays.country_holidays(calendar.country, subdiv=calendar.subdivision, years=year, language="en_US")
    return {day.isoformat(): str(celebrated) for day, celebrated in found.items()}
