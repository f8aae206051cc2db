from datetime import date, timedelta

import pytest

from retrain.deployment import cron
from retrain.deployment.policies import Performance
from retrain.deployment.sections import Schedule
from retrain.judge.day import Day, Error
from retrain.judge.performance import walk
from retrain.judge.verdict import Confidence, Severity, State

POLICY = Performance(metrics="m", model="model", metric="mae", baselines=("pair_median",), calm_days=2)
FIRST = date(2019, 9, 1)
WEEK = (3.8, 4.0, 4.2, 4.4, 4.0, 3.6, 3.9)


def day(number: int, value: float, reach: float | None = 0.5, pair_median: float | None = None) -> Day:
    """A day whose error has an interval of `reach` on either side; the baseline is a sixth worse unless it is given."""
    error = Error("mae", value) if reach is None else Error("mae", value, value - reach, value + reach)
    baseline = value * 7 / 6 if pair_median is None else pair_median
    return Day((FIRST + timedelta(days=number)).isoformat(), 330, 0, {}, (), error, {"pair_median": baseline})


PAST = [day(n, WEEK[n % 7]) for n in range(42)]


def test_an_error_as_ever_has_nothing_to_say() -> None:
    verdict = walk([*PAST, day(42, 4.3)], POLICY)[-1]
    assert (verdict.state, verdict.severity, verdict.reasons) == (State.CALM, None, ())
    assert verdict.history == "Median of the last 42 days 4.00, highest 4.40."


def test_an_error_whose_whole_interval_is_above_its_history_opens_an_incident() -> None:
    verdict = walk([*PAST, day(42, 9.0)], POLICY)[-1]
    assert (verdict.opened, verdict.severity) == (True, Severity.MEDIUM)
    assert verdict.reasons == (
        "mae 9.00, confidence interval 8.50 to 9.50 (limit 4.89).",
        "The baseline pair_median was worse still (10.50): the day was hard to predict for any model.",
    )


def test_an_error_that_may_still_be_within_its_history_does_not() -> None:
    """A few long trips on a day of few rows: the mean is high, and nobody knows it well."""
    assert walk([*PAST, day(42, 6.0, reach=1.5)], POLICY)[-1].state is State.CALM


def test_one_bad_day_does_not_spoil_the_history() -> None:
    verdicts = walk([*PAST, day(42, 30.0), day(43, 4.0), day(44, 4.0), day(45, 9.0)], POLICY)
    assert [v.partition for v in verdicts if v.opened] == [day(42, 1).partition, day(45, 1).partition]
    assert [v.partition for v in verdicts if v.cleared] == [day(44, 1).partition]
    assert verdicts[43].reasons == ("Within its limits for 1 of the 2 days after which the incident ends.",)


def test_a_single_day_behind_a_baseline_is_watched() -> None:
    verdict = walk([*PAST, day(42, 4.2, pair_median=3.5)], POLICY)[-1]
    assert (verdict.state, verdict.opened) == (State.WATCH, False)


def test_days_behind_a_baseline_open_an_incident_though_the_error_is_as_ever() -> None:
    verdicts = walk([*PAST, *(day(42 + n, 4.2, pair_median=3.5) for n in range(3))], POLICY)
    assert [v.opened for v in verdicts[-3:]] == [False, False, True]
    assert verdicts[-1].severity is Severity.HIGH
    assert "worse than the baseline pair_median (3.50), on 3 of the last 7 days." in verdicts[-1].reasons[0]


def test_without_an_interval_the_error_itself_is_held_against_its_limit() -> None:
    verdict = walk([*PAST, day(42, 5.0, reach=None)], POLICY)[-1]
    assert (verdict.opened, verdict.interval, verdict.confidence) == (True, None, Confidence.MEDIUM)


def test_with_little_history_nothing_is_said_and_the_confidence_is_low() -> None:
    verdict = walk([*PAST[:13], day(13, 30.0)], POLICY)[-1]
    assert (verdict.state, verdict.limit, verdict.confidence) == (State.CALM, None, Confidence.LOW)
    assert verdict.confidence_reason == "Low confidence: only 13 earlier days, 14 are needed."


def test_what_is_longer_ago_than_the_history_is_forgotten() -> None:
    season = [day(42 + n, 6.0 + WEEK[n % 7] - 4.0) for n in range(60)]
    assert not walk([*PAST, *season], POLICY)[-1].since


def test_a_day_without_an_error_is_passed_over() -> None:
    without = Day("2019-10-13", 330, 0, {}, ())
    assert [v.partition for v in walk([*PAST, without], POLICY)] == [d.partition for d in PAST]


@pytest.mark.parametrize("count", [1, 20, 42])
def test_a_verdict_is_the_same_whatever_comes_later(count: int) -> None:
    assert walk(PAST[:count], POLICY) == walk(PAST, POLICY)[:count]


WEEKLY = Schedule(cron="0 6 * * 1", start_date=date(2018, 1, 1))
MONTHLY = Schedule(cron="0 6 1 * *", start_date=date(2018, 1, 1))
WEEKDAYS = Schedule(cron="0 6 * * 1-5", start_date=date(2018, 1, 1))


def run_days(schedule: Schedule, count: int) -> list[int]:
    """The first days from FIRST on which the schedule runs, as numbers of days."""
    numbers, day = [], FIRST
    while len(numbers) < count:
        day = cron.next_day(schedule.cron, day)
        numbers.append((day - FIRST).days)
    return numbers


@pytest.mark.parametrize("schedule", [WEEKDAYS, WEEKLY, MONTHLY], ids=["weekdays", "Mondays", "first of the month"])
def test_the_days_of_the_history_are_those_that_the_schedule_runs(schedule: Schedule) -> None:
    """A weekly run has six Mondays in 42 days, too few for a limit: its history would never count."""
    *before, last = run_days(schedule, 43)
    days = [*(day(number, WEEK[n % 7]) for n, number in enumerate(before)), day(last, 9.0)]
    verdict = walk(days, POLICY, schedule)[-1]
    assert verdict.opened
    assert verdict.history == "Median of the last 42 days 4.00, highest 4.40."


@pytest.mark.parametrize("schedule", [WEEKDAYS, WEEKLY, MONTHLY], ids=["weekdays", "Mondays", "first of the month"])
def test_the_last_days_behind_a_baseline_are_those_that_the_schedule_runs(schedule: Schedule) -> None:
    numbers = run_days(schedule, 9)
    behind = [day(number, 4.2, pair_median=3.5) for number in numbers[-3:]]
    assert [v.opened for v in walk(behind, POLICY, schedule)] == [False, False, True]
    apart = [day(numbers[n], 4.2, pair_median=3.5) for n in (0, 1, 8)]
    assert not any(v.opened for v in walk(apart, POLICY, schedule))


def test_a_run_of_a_day_that_the_schedule_leaves_out_is_judged_by_the_runs_before_it() -> None:
    *before, _ = run_days(WEEKLY, 43)
    days = [*(day(number, WEEK[n % 7]) for n, number in enumerate(before)), day(before[-1] + 2, 9.0)]
    assert walk(days, POLICY, WEEKLY)[-1].opened
