"""Public holidays in a pipeline's calendar. The library `holidays` computes them."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from retrain.deployment.sections import Calendar
from retrain.errors import ConfigurationError


def name(day: date, calendar: Calendar | None) -> str | None:
    """The name of the holiday in English; None on an ordinary day, and without a calendar.

    Raises:
        ConfigurationError: as for `check`.
    """
    return _of_year(calendar, day.year).get(day.isoformat()) if calendar else None


@lru_cache
def check(calendar: Calendar) -> None:
    """Make sure that the library knows the calendar.

    Raises:
        ConfigurationError: it does not know the country or the subdivision; the message names key and value.
    """
    import holidays

    key, value = "country", calendar.country
    try:
        holidays.country_holidays(calendar.country)
        key, value = "subdivision", str(calendar.subdivision)
        holidays.country_holidays(calendar.country, subdiv=calendar.subdivision)
    except NotImplementedError as error:
        raise ConfigurationError(
            f"calendar.{key}: the library holidays does not know {value!r} ({error}). Use a name from its documentation."
        ) from error


@lru_cache
def _of_year(calendar: Calendar, year: int) -> dict[str, str]:
    import holidays

    check(calendar)
    found = holidays.country_holidays(calendar.country, subdiv=calendar.subdivision, years=year, language="en_US")
    return {day.isoformat(): str(celebrated) for day, celebrated in found.items()}
