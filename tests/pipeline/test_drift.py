"""Which differences count as drift."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Params

from pipeline.drift import compare_categories, compare_numbers, draw, draw_top, psi, report
from pipeline.window import days_present, read_days, same_weekdays_before

IMPORTANCE = {
    "pickup_datetime": 0.06,
    "pickup_location_id": 0.46,
    "dropoff_location_id": 0.48,
    "passenger_count": 0.0,
    "vendor_id": 0.0,
}
RANDOM = np.random.default_rng(0)


def test_equal_shares_have_no_psi() -> None:
    assert psi(np.array([0.2, 0.3, 0.5]), np.array([0.2, 0.3, 0.5])) == 0


def test_psi_is_symmetric_and_never_negative() -> None:
    for _ in range(50):
        a, b = RANDOM.dirichlet(np.ones(6)), RANDOM.dirichlet(np.ones(6))
        assert psi(a, b) == pytest.approx(psi(b, a))
        assert psi(a, b) >= 0


def test_psi_of_a_known_case() -> None:
    # By hand: 0.1 times the logarithm of 6/5, plus 0.1 times that of 5/4.
    assert psi(np.array([0.5, 0.5]), np.array([0.6, 0.4])) == pytest.approx(0.040547, abs=1e-6)


def test_value_never_seen_in_the_reference_is_drift() -> None:
    reference, current = pd.Series([1.0] * 300), pd.Series([1.0] * 90 + [7.0] * 10)
    shares = compare_categories(reference, current, bins=10)
    assert psi(shares.reference, shares.current) > 0.2


def test_values_that_go_missing_are_drift() -> None:
    reference, current = pd.Series([1.0, 2.0] * 150), pd.Series([1.0, np.nan] * 50)
    shares = compare_categories(reference, current, bins=10)
    assert shares.current[shares.bins.index("missing")] == 0.5
    assert psi(shares.reference, shares.current) > 0.2


def test_bins_are_cut_on_the_reference_and_hold_every_current_value() -> None:
    reference = RANDOM.normal(size=1000)
    shares = compare_numbers(reference, np.array([-50.0, 0.0, 50.0, 60.0]), bins=10)
    assert shares.reference == pytest.approx(np.full(10, 0.1), abs=0.002)
    assert (shares.current[0], shares.current[-1], shares.current.sum()) == (0.25, 0.5, 1)


def test_a_reference_of_one_value_can_be_compared() -> None:
    shares = compare_numbers(np.ones(100), np.array([1.0, 2.0]), bins=10)
    assert shares.reference.sum() == shares.current.sum() == 1


def test_sample_of_the_same_distribution_stays_below_the_limit() -> None:
    values = [
        psi(c.reference, c.current)
        for c in (compare_numbers(RANDOM.gamma(2, size=1200), RANDOM.gamma(2, size=300), 10) for _ in range(100))
    ]
    assert max(values) < 0.2


def drifted(trips: Path, partition: date, params: Params) -> set[str]:
    days = days_present(trips, same_weekdays_before(partition, 4))
    rows = read_days(trips, [*days, partition])
    summary, _ = report(rows.assign(predicted_min=rows["duration_min"]), partition, params("drift"), IMPORTANCE)
    return {entry["name"] for entry in summary["features"] if entry["drifted"]}


@pytest.mark.parametrize("day", range(9, 13))
def test_no_feature_drifts_before_the_city_shuts_down(day: int, trips: Path, params: Params) -> None:
    assert drifted(trips, date(2020, 3, day), params) == set()


def test_speed_drifts_first_as_the_city_shuts_down(trips: Path, params: Params) -> None:
    assert drifted(trips, date(2020, 3, 13), params) == {"speed"}
    assert drifted(trips, date(2020, 3, 17), params) >= {"speed", "duration"}
    assert drifted(trips, date(2020, 3, 18), params) >= {"speed", "duration", "minute_of_day"}


def test_two_features_seldom_drift_together_on_ordinary_days(trips: Path, params: Params) -> None:
    days = [date(2019, 9, 9) + timedelta(days=n) for n in range(0, 70, 3)]
    assert sum(len(drifted(trips, day, params)) >= 2 for day in days) == 0


def test_without_earlier_days_the_report_says_so_and_nothing_drifts(
    trips: Path, params: Params, tmp_path: Path
) -> None:
    first = date(2018, 1, 1)
    rows = read_days(trips, [first]).assign(predicted_min=10.0)
    summary, comparisons = report(rows, first, params("drift"), IMPORTANCE)
    assert not summary["drifted"]
    assert summary["features"] == summary["reference_partitions"] == []
    assert "None of the 4 same weekdays before 2018-01-01" in summary["reason"]
    for drawn in (draw, draw_top):
        drawn(summary, comparisons, tmp_path / "drift.png")
        assert (tmp_path / "drift.png").stat().st_size > 1000


def test_days_with_few_rows_are_marked_as_unreliable(trips: Path, params: Params) -> None:
    partition = date(2020, 3, 25)
    rows = read_days(trips, [*same_weekdays_before(partition, 4), partition]).assign(predicted_min=10.0)
    summary, _ = report(rows, partition, params("drift"), IMPORTANCE)
    assert not summary["reliable"]
    assert "Only 28 rows" in summary["reason"]


def test_each_feature_is_reported_with_value_limit_and_kind_and_drawn_without_limits(
    trips: Path, params: Params, tmp_path: Path
) -> None:
    partition = date(2020, 3, 17)
    rows = read_days(trips, [*same_weekdays_before(partition, 4), partition])
    predicted = rows.assign(predicted_min=rows["duration_min"])
    summary, comparisons = report(predicted, partition, params("drift"), IMPORTANCE)
    assert {entry["name"]: entry["limit"] for entry in summary["features"]} == params("drift")["limits"]
    assert {entry["kind"] for entry in summary["features"]} == {"input", "target", "prediction"}
    assert summary["reference_partitions"] == ["2020-02-18", "2020-02-25", "2020-03-03", "2020-03-10"]
    told = {entry["name"]: entry["importance"] for entry in summary["features"] if entry["kind"] == "input"}
    assert told == dict(
        zip(
            ["minute_of_day", "pickup_zone", "dropoff_zone", "passenger_count", "vendor"],
            IMPORTANCE.values(),
            strict=True,
        )
    )
    assert summary["rows"]["by_day"] == {
        day: len(read_days(trips, [date.fromisoformat(day)])) for day in summary["reference_partitions"]
    }
    # The alert's policy may raise the limits, and the picture is shown beside the raised ones: it must not draw its own.
    raised = [{**entry, "limit": entry["limit"] * 1.3, "drifted": False} for entry in summary["features"]]
    for drawn in (draw, draw_top):
        drawn(summary, comparisons, tmp_path / "once.png")
        drawn({**summary, "drifted": False, "features": raised}, comparisons, tmp_path / "again.png")
        assert (tmp_path / "once.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert (tmp_path / "once.png").stat().st_size < 120_000
