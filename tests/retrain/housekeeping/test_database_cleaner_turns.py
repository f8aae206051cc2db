"""The process that cleans the metadata database: what it does between two cleanings, and with wrong settings."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from retrain.deployment.housekeeping_file import FILE, load_housekeeping
from retrain.housekeeping import database_cleaner

LIMITS = load_housekeeping(FILE, {})


@pytest.fixture
def five_turns(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between turns, which take no time. The process ends in the fifth."""
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            raise SystemExit

    monkeypatch.setattr(database_cleaner.time, "sleep", pause)
    return pauses


def test_without_a_volume_the_process_says_so_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("RETRAIN_HOME", raising=False)
    assert database_cleaner.main(["--once"]) == 2
    assert "RETRAIN_HOME is None" in caplog.text


def test_a_result_that_cannot_be_written_is_not_followed_by_one_cleaning_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, five_turns: list[float]
) -> None:
    cleanings = []

    def full(*_: object) -> None:
        cleanings.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(database_cleaner, "clean_alone", full)
    with pytest.raises(SystemExit):
        database_cleaner._run(tmp_path, LIMITS, 0)
    assert (len(cleanings), len(five_turns)) == (1, 5)


def test_limits_are_read_again_in_each_turn_and_stay_while_the_file_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "housekeeping.yaml"
    monkeypatch.setenv("RETRAIN_HOUSEKEEPING", str(file))
    file.write_text(FILE.read_text().replace("metadata_days: 365", "metadata_days: 100"))
    changed = database_cleaner._read_again(LIMITS)
    assert changed.metadata_days == 100
    file.write_text("metadata_days: many")
    with caplog.at_level(logging.WARNING):
        assert database_cleaner._read_again(changed) == changed
    assert "The limits from before hold." in caplog.text


def test_the_time_of_the_first_start_stays_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, five_turns: list[float]
) -> None:
    monkeypatch.setattr(database_cleaner, "PAUSE_SECONDS", 0.0)
    with pytest.raises(SystemExit):
        database_cleaner._run(tmp_path, LIMITS, 3600)
    first = database_cleaner.heartbeat_file(tmp_path).read_text()
    five_turns.clear()
    with pytest.raises(SystemExit):
        database_cleaner._run(tmp_path, LIMITS, 3600)
    assert first
    assert database_cleaner.heartbeat_file(tmp_path).read_text() == first
