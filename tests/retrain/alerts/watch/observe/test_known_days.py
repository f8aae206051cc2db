"""The days that the watch has found in S3 are known after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.alerts.watch.observe import known_days
from retrain.alerts.watch.observe.known_days import KnownDays

DAY = frozenset({"2020-03-01"})


def test_a_restart_knows_what_was_found(tmp_path: Path) -> None:
    KnownDays(tmp_path).add("taxi", landed=DAY)
    again = KnownDays(tmp_path)
    assert (again.landed("taxi"), again.recorded("taxi")) == (DAY, frozenset())
    assert again.landed("fares") == frozenset()


def test_a_file_that_cannot_be_read_is_logged_and_its_days_are_asked_for_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taxi.json").write_text('{"landed": 7}')
    assert KnownDays(tmp_path).recorded("taxi") == frozenset()
    assert "taxi" in caplog.text


def test_a_full_disk_is_logged_once_and_the_days_count_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(known_days, "write_whole", full)
    known = KnownDays(tmp_path)
    known.add("taxi", landed=DAY)
    known.add("taxi", recorded=DAY)
    assert (known.landed("taxi"), known.recorded("taxi")) == (DAY, DAY)
    assert caplog.text.count("could not be saved") == 1


def test_only_the_newest_days_are_kept(tmp_path: Path) -> None:
    days = frozenset(f"2020-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 29))
    known = KnownDays(tmp_path)
    known.add("taxi", recorded=days)
    assert known.recorded("taxi") == frozenset(sorted(days)[-60:])
