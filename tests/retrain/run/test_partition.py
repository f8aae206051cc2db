from datetime import UTC, date, datetime

import pytest

from retrain.deployment.sections import Schedule
from retrain.errors import PartitionError
from retrain.run import partition


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2020-03-05; touch x", id="a shell command behind the date"),
        pytest.param("2020-03-05\n", id="a newline behind the date"),
        pytest.param("2020-02-30", id="a day that no calendar has"),
        pytest.param("2020-3-5", id="no leading zeros"),
        pytest.param("٢٠٢٠-٠٣-٠٥", id="digits of another script"),
        pytest.param("../../etc", id="a path"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_no_date_is_refused_and_named(text: str) -> None:
    with pytest.raises(PartitionError) as refused:
        partition.parse(text)
    assert repr(text)[1:8] in str(refused.value)


def schedule(cron: str = "0 6 * * *", zone: str = "UTC") -> Schedule:
    return Schedule(cron=cron, timezone=zone, start_date=date(2018, 1, 1))


NOW = datetime(2026, 3, 5, 23, 30, tzinfo=UTC)


def test_the_partition_of_a_run_is_its_param() -> None:
    assert partition.of_run("2020-03-05", datetime(2026, 1, 1, tzinfo=UTC), schedule(), now=NOW) == "2020-03-05"


@pytest.mark.parametrize(
    ("cron", "zone", "start"),
    [
        pytest.param("0 6 * * *", "UTC", "2020-03-09T06:00+00:00", id="UTC"),
        pytest.param("0 6 * * *", "Asia/Tokyo", "2020-03-08T21:00+00:00", id="east, where UTC is a day behind"),
        pytest.param("0 21 * * *", "America/New_York", "2020-03-10T01:00+00:00", id="west, where UTC is a day ahead"),
        pytest.param("0 1 * * *", "Europe/Berlin", "2020-03-09T00:00+00:00", id="winter, the same date in UTC"),
        pytest.param("0 6 * * *", "Asia/Tokyo", "2020-03-09T06:00+09:00", id="an interval that is not given in UTC"),
    ],
)
def test_without_a_param_it_is_the_day_in_the_schedules_zone_that_the_data_interval_starts_on(
    cron: str, zone: str, start: str
) -> None:
    assert partition.of_run(None, datetime.fromisoformat(start), schedule(cron, zone), now=NOW) == "2020-03-09"


def test_a_run_without_interval_and_param_is_refused() -> None:
    with pytest.raises(PartitionError, match="Trigger it with partition"):
        partition.of_run(None, None, schedule(), now=NOW)


def test_a_backfill_with_a_partition_is_refused_because_all_its_days_would_be_that_one() -> None:
    with pytest.raises(PartitionError, match="would apply to all its runs"):
        partition.of_run("2020-03-05", datetime(2020, 3, 1, tzinfo=UTC), schedule(), now=NOW, backfill=True)


def test_a_day_that_is_still_to_come_is_refused_by_name() -> None:
    with pytest.raises(PartitionError, match="2062-03-05 is in the future: today is 2026-03-05 in UTC"):
        partition.of_run("2062-03-05", None, schedule(), now=NOW)
    with pytest.raises(PartitionError, match="in the future"):
        partition.of_run(None, datetime(2026, 3, 6, 6, tzinfo=UTC), schedule(), now=NOW)


def test_today_is_today_in_the_schedules_zone() -> None:
    assert partition.of_run("2026-03-06", None, schedule(zone="Asia/Tokyo"), now=NOW) == "2026-03-06"
    with pytest.raises(PartitionError, match="in the future"):
        partition.of_run("2026-03-06", None, schedule(zone="America/New_York"), now=NOW)


def test_the_window_ends_with_the_partition_and_knows_leap_years() -> None:
    window = partition.window("2020-03-01", 366)
    assert (window[0], window[-2], window[-1], len(window)) == ("2019-03-02", "2020-02-29", "2020-03-01", 366)


@pytest.mark.parametrize(
    ("run", "found"),
    [
        pytest.param({"conf": {"partition": "2020-03-05"}}, "2020-03-05", id="the Param"),
        pytest.param({"data_interval_start": "2026-03-04T21:30:00Z"}, "2026-03-05", id="the interval, in the zone"),
        pytest.param({"conf": {"partition": "2062-03-05"}}, None, id="refused: a day of the future"),
        pytest.param(
            {"conf": {"partition": "2020-03-05"}, "run_type": "backfill"}, None, id="refused: a Param for all"
        ),
        pytest.param({}, None, id="refused: neither"),
    ],
)
def test_a_run_in_an_answer_of_airflows_api_has_the_partition_of_its_tasks(
    run: dict[str, object], found: str | None
) -> None:
    answer = {"run_type": "manual", "conf": None, "data_interval_start": None, **run}
    assert partition.of_api(answer, schedule("0 1 * * *", "Asia/Tokyo"), now=NOW) == found
