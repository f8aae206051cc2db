"""When an episode of trouble is open, and since when."""

from __future__ import annotations

from retrain.judge.episode import Episode
from retrain.judge.verdict import State


def after(*days: tuple[str, bool, bool]) -> list[Episode]:
    """The episode after each day: its partition, whether it opens one, whether it is calm; two calm days end one."""
    found = [Episode()]
    for partition, opens, calm in days:
        found.append(found[-1].then(partition, opens=opens, calm=calm, calm_days=2))
    return found[1:]


def test_an_episode_opens_once_and_counts_calendar_days() -> None:
    first, second = after(("2020-03-01", True, False), ("2020-03-04", True, False))
    assert (first.opened, first.since, first.days) == (True, "2020-03-01", 1)
    assert (second.opened, second.since, second.days) == (False, "2020-03-01", 4)


def test_it_ends_only_after_enough_calm_days_in_a_row() -> None:
    days = [(f"2020-03-0{n}", n == 1, n in (2, 4, 5)) for n in range(1, 6)]
    assert [(each.calm, each.cleared) for each in after(*days)] == [
        (0, False),
        (1, False),
        (0, False),
        (1, False),
        (0, True),
    ]


def test_an_open_episode_is_an_alert_even_on_a_calm_day() -> None:
    opened, calm = after(("2020-03-01", True, False), ("2020-03-02", False, True))
    assert {opened.state(unusual=True), calm.state(unusual=False)} == {State.ALERT}
    assert (Episode().state(unusual=True), Episode().state(unusual=False)) == (State.WATCH, State.CALM)
