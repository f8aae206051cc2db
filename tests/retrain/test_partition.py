from datetime import UTC, datetime

import pytest

from retrain import partition
from retrain.errors import PartitionError


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


def test_the_partition_of_a_run_is_its_param() -> None:
    assert partition.of_run("2020-03-05", datetime(2026, 1, 1, tzinfo=UTC)) == "2020-03-05"


def test_without_a_param_it_is_the_day_that_the_data_interval_starts_on() -> None:
    assert partition.of_run(None, datetime(2020, 3, 5, 6, tzinfo=UTC)) == "2020-03-05"


def test_a_run_without_interval_and_param_is_refused() -> None:
    with pytest.raises(PartitionError, match="Trigger it with partition"):
        partition.of_run(None, None)


def test_a_backfill_with_a_partition_is_refused_because_all_its_days_would_be_that_one() -> None:
    with pytest.raises(PartitionError, match="each of its runs"):
        partition.of_run("2020-03-05", datetime(2020, 3, 1, tzinfo=UTC), backfill=True)


def test_the_window_ends_with_the_partition_and_knows_leap_years() -> None:
    window = partition.window("2020-03-01", 366)
    assert (window[0], window[-2], window[-1], len(window)) == ("2019-03-02", "2020-02-29", "2020-03-01", 366)
