from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from retrain.deployment.policies import Drift
from retrain.deployment.sections import Calendar, Schedule
from retrain.judge import drift
from retrain.judge.day import Day, MeasuredFeature
from retrain.judge.drift import DriftVerdict, chance, walk
from retrain.judge.verdict import Confidence, Severity, State
from retrain.results import Checked

POLICY = Drift(report="reports/drift.json")
NEW_YORK = Calendar(country="US", subdivision="NY")
MONDAY = date(2019, 9, 16)
INPUTS = {"zone": 0.6, "hour": 0.4, "vendor": 0.0}


def day(number: int = 0, rows: int = 330, usual: int = 330, first: date = MONDAY, **values: float) -> Day:
    """A day some days after the first; features that are not given stand at 0.05, all limits are 0.2."""
    then = first + timedelta(days=number)
    names = dict.fromkeys(["speed", "duration", "prediction", *INPUTS], 0.05) | values
    features = tuple(
        MeasuredFeature(
            name, "input" if name in INPUTS else "prediction" if name == "prediction" else "target", value, 0.2,
            importance=INPUTS.get(name), bins=10,
        )
        for name, value in names.items()
    )  # fmt: skip
    by_day = {(then - timedelta(weeks=weeks)).isoformat(): usual for weeks in range(1, 5)}
    return Day(then.isoformat(), rows, 4 * usual, by_day, features)


def last(days: Iterable[Day], calendar: Calendar | None = None) -> DriftVerdict:
    return walk(days, POLICY, calendar)[-1]


def calm(count: int, start: int = 0) -> list[Day]:
    return [day(start + n) for n in range(count)]


DRIFTING = [day(n, speed=0.3, duration=0.25) for n in range(3)]


def test_a_calm_day_has_nothing_to_say() -> None:
    verdict = last(calm(5))
    assert (verdict.state, verdict.severity, verdict.reasons, verdict.since) == (State.CALM, None, (), None)


def test_two_features_on_a_single_day_are_watched_not_told() -> None:
    assert last([*calm(6), day(6, speed=0.4, duration=0.3)]).state is State.WATCH


def test_two_features_that_stay_open_an_incident_on_the_third_day() -> None:
    assert [v.opened for v in walk(DRIFTING, POLICY)] == [False, False, True]


def test_one_feature_alone_opens_nothing_however_long() -> None:
    assert not any(v.opened for v in walk([day(n, speed=0.4) for n in range(30)], POLICY))


def test_the_days_before_may_have_one_feature_only() -> None:
    days = [*(day(n, speed=0.3) for n in range(2)), day(2, speed=0.7, duration=0.25)]
    assert last(days).opened


def test_drift_far_over_its_limits_needs_no_second_day() -> None:
    verdict = last([*calm(6), day(6, speed=0.9, duration=1.2)])
    assert (verdict.opened, verdict.severity) == (True, Severity.HIGH)


def test_inputs_that_the_model_hardly_uses_never_count() -> None:
    verdicts = walk([day(n, vendor=3.0, speed=0.3) for n in range(9)], POLICY)
    assert {v.state for v in verdicts} == {State.WATCH}
    assert "The model hardly depends on vendor." in verdicts[-1].reasons


def test_inputs_that_the_model_lives_on_do() -> None:
    assert last([day(n, zone=0.3, hour=0.3) for n in range(3)]).opened


def test_without_importance_every_feature_counts() -> None:
    plain = MeasuredFeature("a", "input", 0.3, 0.2), MeasuredFeature("b", "input", 0.3, 0.2)
    assert last([Day((MONDAY + timedelta(days=n)).isoformat(), 330, 1320, {}, plain) for n in range(3)]).opened


def test_an_incident_stays_open_until_a_whole_week_was_calm() -> None:
    verdicts = walk([*DRIFTING, *calm(4, 3), day(7, speed=0.3), *calm(8, 8)], POLICY)
    assert [v.partition for v in verdicts if v.opened] == [DRIFTING[2].partition]
    assert [v.partition for v in verdicts if v.cleared] == [day(14).partition]
    assert verdicts[5].reasons == ("Calm for 3 of the 7 days after which the incident ends.",)
    assert (verdicts[13].state, verdicts[13].since, verdicts[13].days_open) == (State.ALERT, DRIFTING[2].partition, 12)
    assert (verdicts[14].state, verdicts[14].since, verdicts[14].days_open) == (State.CALM, None, 0)


def test_a_holidays_drift_is_named_and_neither_opens_nor_counts() -> None:
    eve = date(2019, 12, 23)
    days = [day(n, first=eve, speed=0.9, duration=0.9) for n in (0, 2)]
    assert last([days[0]]).opened
    verdict = last([*(day(n, first=eve) for n in (0, 1)), days[1]], NEW_YORK)
    assert verdict.state is State.WATCH
    assert verdict.reasons[-1] == "Christmas Day differs from its weekday every year, so this day does not count."
    assert last([*(day(n, first=eve) for n in (0, 1)), days[1]]).opened, "without a calendar it does"


def test_missing_days_are_no_drifting_days() -> None:
    """Seven judged days may be seven weeks."""
    assert not any(v.opened for v in walk([day(7 * n, speed=0.3, duration=0.3) for n in range(7)], POLICY))


def test_the_last_days_of_a_weekly_pipeline_are_its_last_mondays() -> None:
    weekly = Schedule(cron="0 6 * * 1", start_date=MONDAY)
    drifting = [day(7 * n, speed=0.3, duration=0.3) for n in range(3)]
    assert [v.opened for v in walk(drifting, POLICY, schedule=weekly)] == [False, False, True]
    rows = [day(7 * n, rows=150) for n in range(3)]
    assert [v.opened for v in walk(rows, POLICY, schedule=weekly)] == [False, False, True]
    missed = [drifting[0], day(7 * 7, speed=0.3, duration=0.3), day(8 * 7, speed=0.3, duration=0.3)]
    assert not any(v.opened for v in walk(missed, POLICY, schedule=weekly))


def test_rows_that_keep_missing_are_a_signal_of_their_own() -> None:
    verdicts = walk([day(n, rows=150) for n in range(3)], POLICY)
    assert [v.opened for v in verdicts] == [False, False, True]
    assert verdicts[2].reasons == (
        "55% fewer rows than usual on this weekday: 150, usually 330.",
        "Rows were missing on 3 of the last 7 days.",
    )


def test_more_rows_than_usual_are_no_trouble() -> None:
    assert last([day(n, rows=900) for n in range(7)]).state is State.CALM


def test_with_few_rows_the_limit_is_what_chance_reaches_and_the_verdict_says_so() -> None:
    verdict = last([day(rows=30, usual=40, speed=0.9, duration=0.9)])
    assert verdict.features == ()
    assert verdict.confidence is Confidence.LOW
    assert verdict.confidence_reason == (
        "Low confidence: with 30 rows, chance alone moves zone up to 1.11 (limit 0.20), so that counts as the limit."
    )


def test_a_holiday_in_the_reference_lowers_the_confidence() -> None:
    verdict = last([day(first=date(2020, 1, 8))], NEW_YORK)
    assert verdict.confidence is Confidence.MEDIUM
    assert "2019-12-25 (Christmas Day) and 2020-01-01 (New Year's Day)" in verdict.confidence_reason


def test_the_first_day_has_no_reference_and_says_so() -> None:
    verdict = last([Day("2018-01-01", 300, 0, {}, ())])
    assert (verdict.state, verdict.confidence) == (State.CALM, Confidence.LOW)
    assert "no earlier day" in verdict.confidence_reason


def test_reasons_name_target_prediction_and_input_drift_with_value_and_limit() -> None:
    verdict = last([day(speed=0.754, duration=0.246, prediction=0.21, zone=0.3)])
    assert verdict.reasons == (
        "Target drift: speed 0.75 (limit 0.20), duration 0.25 (limit 0.20).",
        "Prediction drift: prediction 0.21 (limit 0.20).",
        "Input drift: zone 0.30 (limit 0.20).",
    )
    assert [f.name for f in verdict.features] == ["speed", "zone", "duration", "prediction"]


@pytest.mark.parametrize(
    ("values", "days", "severity"),
    [
        pytest.param({"speed": 0.25}, 1, Severity.LOW, id="one feature, just over"),
        pytest.param({"speed": 0.25, "duration": 0.25}, 1, Severity.LOW, id="two features, just over"),
        pytest.param({"speed": 0.6, "duration": 0.3}, 1, Severity.MEDIUM, id="two features, farther"),
        pytest.param({"speed": 0.25, "duration": 0.25}, 5, Severity.MEDIUM, id="just over, most days"),
        pytest.param({"speed": 0.8, "duration": 0.8}, 1, Severity.HIGH, id="two features, far"),
        pytest.param({"speed": 9.0}, 1, Severity.MEDIUM, id="one feature, however far"),
    ],
)
def test_severity_grows_with_effect_features_and_days(values: dict[str, float], days: int, severity: Severity) -> None:
    assert last([day(n, **values) for n in range(days)]).severity is severity


def test_a_verdict_is_the_same_whatever_comes_later() -> None:
    days = [*DRIFTING, *calm(9, 3)]
    assert walk(days[:5], POLICY) == walk(days, POLICY)[:5]


def test_chance_is_the_quantile_of_chi_squared_over_the_rows() -> None:
    # 27.877 is the 99.9 % quantile of chi-squared with nine degrees of freedom.
    feature = MeasuredFeature("x", "input", 0.1, 0.2, bins=10)
    assert chance(feature, 100, 400, 0.999) == pytest.approx(27.877 * (1 / 100 + 1 / 400), rel=0.01)
    assert chance(MeasuredFeature("x", "input", 0.1, 0.2, measure="wasserstein"), 100, 400, 0.999) == 0


def test_a_verdict_is_json_as_it_is_handed_on() -> None:
    document = Checked(last(DRIFTING), None, told=True).to_json()["drift"]
    assert (document["state"], document["severity"], document["opened"]) == ("alert", "low", True)
    assert document["features"][0]["name"] == "speed"


def test_no_days_no_verdicts() -> None:
    assert drift.walk([], POLICY) == []
