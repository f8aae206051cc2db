from datetime import date

import pytest

from retrain.deployment import holiday
from retrain.deployment.sections import Calendar
from retrain.errors import ConfigurationError


def test_a_holiday_has_a_name() -> None:
    assert holiday.name(date(2019, 12, 25), Calendar(country="US")) == "Christmas Day"


def test_an_ordinary_day_has_none_and_neither_has_any_day_without_a_calendar() -> None:
    assert holiday.name(date(2019, 12, 24), Calendar(country="US")) is None
    assert holiday.name(date(2019, 12, 25), None) is None


def test_a_subdivision_has_holidays_of_its_own() -> None:
    day = date(2019, 11, 5)
    assert holiday.name(day, Calendar(country="US")) is None
    assert holiday.name(day, Calendar(country="US", subdivision="NY")) == "Election Day"


def test_a_country_that_the_library_does_not_know_is_named_with_its_key() -> None:
    with pytest.raises(ConfigurationError, match=r"calendar\.country: .*'XX'"):
        holiday.name(date(2019, 12, 25), Calendar(country="XX"))
