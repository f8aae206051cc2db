"""The digest comes once a day, at its time, and no day is left out."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

from retrain.alerts.message.plain_text import Plain
from retrain.alerts.watch.editions import Editions

SEVEN = time(7)


def at(day: int, hour: int) -> datetime:
    return datetime(2020, 3, day, hour, tzinfo=UTC)


def test_the_first_digest_comes_the_day_after_the_watch_s_first_start_and_each_day_once(tmp_path: Path) -> None:
    editions = Editions(tmp_path, SEVEN)
    assert editions.due(at(17, 9)) is None
    assert editions.due(at(18, 6)) is None
    window = editions.due(at(18, 7))
    assert window is not None
    assert (str(window.day), window.after[:13], window.until[:13]) == ("2020-03-17", "2020-03-17T00", "2020-03-18T00")
    editions.compose(window, lambda _: Plain("news"), ["#ours", "#theirs"])
    again = Editions(tmp_path, SEVEN)
    assert again.due(at(18, 23)) is None
    assert {edition.channel for edition in again.all} == {"#ours", "#theirs"}


def test_a_digest_covers_the_days_on_which_the_watch_did_not_run(tmp_path: Path) -> None:
    Editions(tmp_path, SEVEN).due(at(16, 9))
    window = Editions(tmp_path, SEVEN).due(at(19, 8))
    assert window is not None
    assert (window.after[:10], window.until[:10]) == ("2020-03-16", "2020-03-19")


def test_composing_again_after_a_crash_changes_nothing_and_a_quiet_day_has_no_digest(tmp_path: Path) -> None:
    editions = Editions(tmp_path, SEVEN)
    editions.due(at(17, 9))
    window = editions.due(at(18, 7))
    assert window is not None
    editions.compose(window, lambda channel: Plain("news") if channel == "#ours" else None, ["#ours", "#theirs"])
    editions.compose(window, lambda _: Plain("other"), ["#ours"])
    assert [(edition.channel, edition.text) for edition in Editions(tmp_path, SEVEN).all] == [("#ours", "news")]
