import pytest

from retrain.promotion import Champion, judge, may_compete

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
