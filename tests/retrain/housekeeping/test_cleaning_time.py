from datetime import UTC, datetime, timedelta

import pytest

from retrain.deployment.housekeeping_file import HousekeepingLimits
from retrain.housekeeping.cleaning_time import next_cleaning
from retrain.housekeeping.database import DatabaseCleaned

LIMITS = HousekeepingLimits(schema_version=1, owner="ml-platform", cron="30 3 * * *")
NOON = datetime(2020, 3, 14, 12, tzinfo=UTC)


def cleaned(at: datetime, error: str | None = None) -> DatabaseCleaned:
    return DatabaseCleaned(at, at - timedelta(days=365), {}, 1.0, error)


def test_a_database_that_was_never_cleaned_is_cleaned_now() -> None:
    assert next_cleaning(None, LIMITS, NOON) == NOON


@pytest.mark.parametrize(
    ("ended", "due"),
    [
        pytest.param("2020-03-14T02:31", "2020-03-15T02:30", id="on time"),
        pytest.param("2020-03-14T12:00", "2020-03-15T02:30", id="late, after a start at noon"),
        pytest.param("2020-03-14T01:00", "2020-03-14T02:30", id="earlier the same day"),
    ],
)
def test_the_next_cleaning_ends_before_the_housekeeping_dag_starts(ended: str, due: str) -> None:
    last = cleaned(datetime.fromisoformat(ended).replace(tzinfo=UTC))
    assert next_cleaning(last, LIMITS, last.at) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize("hours", [25, 100])
def test_a_result_older_than_a_day_is_followed_by_a_cleaning_at_once(hours: int) -> None:
    assert next_cleaning(cleaned(NOON - timedelta(hours=hours)), LIMITS, NOON) <= NOON


def test_a_failed_cleaning_is_tried_again_an_hour_later() -> None:
    assert next_cleaning(cleaned(NOON, "no space"), LIMITS, NOON) == NOON + timedelta(hours=1)


def test_a_clock_that_was_ahead_stops_no_cleaning_for_more_than_a_day() -> None:
    ahead = NOON + timedelta(days=300)
    assert next_cleaning(cleaned(ahead), LIMITS, NOON) == NOON + timedelta(days=1)
    assert next_cleaning(cleaned(ahead, "no space"), LIMITS, NOON) == NOON + timedelta(hours=1)


def test_a_dag_just_after_midnight_is_preceded_by_a_cleaning_on_the_day_before() -> None:
    limits = LIMITS.model_copy(update={"cron": "15 0 * * *"})
    last = cleaned(datetime(2020, 3, 14, 23, 30, tzinfo=UTC))
    assert next_cleaning(last, limits, last.at) == datetime(2020, 3, 15, 23, 15, tzinfo=UTC)


def test_the_time_of_day_is_that_of_the_zone() -> None:
    limits = LIMITS.model_copy(update={"timezone": "Asia/Tokyo"})
    assert next_cleaning(cleaned(NOON), limits, NOON) == datetime(2020, 3, 14, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize("month_day", [(3, 28), (3, 29), (10, 24), (10, 25)])
def test_a_shift_of_the_clock_moves_a_cleaning_by_an_hour_at_most(month_day: tuple[int, int]) -> None:
    limits = LIMITS.model_copy(update={"timezone": "Europe/Berlin", "cron": "30 2 * * *"})
    last = cleaned(datetime(2020, *month_day, 6, tzinfo=UTC))
    wait = next_cleaning(last, limits, last.at) - last.at
    assert timedelta(hours=17) <= wait <= timedelta(hours=20)
