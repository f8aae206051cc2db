import pytest

from retrain.judge.promotion import Champion, judge, may_compete, worth_a_message

BASELINES = {"pair_median": 4.7, "global_median": 6.5}
CHAMPION = Champion("3", "2020-03-10")


def test_a_better_model_that_beats_both_baselines_is_promoted() -> None:
    assert judge("mae", 4.1, 4.2, BASELINES).promote


def test_the_first_model_is_promoted_when_it_beats_the_baselines() -> None:
    assert judge("mae", 4.1, None, BASELINES).promote


@pytest.mark.parametrize(
    ("challenger", "champion", "said"),
    [
        pytest.param(4.2, 4.2, "champion's 4.200", id="a tie"),
        pytest.param(4.3, 4.2, "champion's 4.200", id="worse than the champion"),
        pytest.param(4.8, 5.0, "pair_median", id="better than the champion, worse than a baseline"),
        pytest.param(float("nan"), 4.2, "pair_median", id="not a number"),
    ],
)
def test_a_model_that_is_not_better_stays_challenger_and_the_reason_has_both_numbers(
    challenger: float, champion: float, said: str
) -> None:
    decision = judge("mae", challenger, champion, BASELINES)
    assert not decision.promote
    assert said in decision.reason


def test_a_backfill_never_competes() -> None:
    assert not may_compete("2020-03-11", CHAMPION, "2020-03-11", backfill=True).promote


def test_an_older_day_does_not_compete_with_a_newer_one() -> None:
    assert "2020-03-11" in may_compete("2020-03-09", None, "2020-03-11", backfill=False).reason


def test_a_champion_of_a_newer_day_is_not_challenged_by_an_older_one() -> None:
    assert not may_compete("2020-03-09", CHAMPION, "2020-03-09", backfill=False).promote


def test_the_newest_day_competes() -> None:
    assert may_compete("2020-03-11", CHAMPION, "2020-03-11", backfill=False).promote


def test_a_baseline_that_wins_is_worth_a_message() -> None:
    told = worth_a_message(judge("mae", 4.8, 5.0, BASELINES), "2020-03-11", CHAMPION, 14)
    assert (
        told
        == "mae 4.800 does not beat the baseline pair_median (4.700). A simple rule is better than the newly trained model."
    )


def test_losing_to_a_young_champion_is_ordinary() -> None:
    assert worth_a_message(judge("mae", 4.3, 4.2, BASELINES), "2020-03-24", CHAMPION, 14) is None


def test_losing_to_an_old_champion_is_worth_a_message_with_its_age() -> None:
    told = worth_a_message(judge("mae", 4.3, 4.2, BASELINES), "2020-03-25", CHAMPION, 14)
    assert told is not None
    assert "The champion is 15 days old (limit 14)" in told


def test_what_was_promoted_or_never_scored_is_no_refusal() -> None:
    assert worth_a_message(judge("mae", 4.1, 4.2, BASELINES), "2021-01-01", CHAMPION, 14) is None
    backfill = may_compete("2021-01-01", CHAMPION, "2021-01-01", backfill=True)
    assert worth_a_message(backfill, "2021-01-01", CHAMPION, 14) is None
