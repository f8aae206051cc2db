from datetime import date

from retrain import holiday
from retrain.deployment import Calendar


def test_a_holiday_has_a_name() -> None:
    assert holiday.name(date(2019, 12, 25), Calendar(country="US")) == "Christmas Day"


def test_an_ordinary_day_has_none_and_neither_has_any_day_without_a_calendar() -> None:
    assert holiday.name(date(2019, 12, 24), Calendar(country="US")) is None
    assert holiday.name(date(2019, 12, 25), None) is None


def test_a_subdivision_has_holidays_of_its_own() -> None:
    day = date(2019, 11, 5)
    assert holiday.name(day, Calendar(country="US")) is None
    assert holiday.name(day, Calendar(country="US", subdivision="NY")) == "Election Day"
