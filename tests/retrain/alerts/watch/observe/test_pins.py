"""A release is news once, however often the watch restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.alerts.watch.observe import pins as module
from retrain.alerts.watch.observe.pins import Pins
from retrain.run.release import Release

OLD, NEW = Release("v1.0.0", "a" * 40), Release("v1.1.0", "b" * 40)


def test_a_release_made_while_the_watch_restarts_is_news(tmp_path: Path) -> None:
    assert Pins(tmp_path).news("ours", OLD) is None  # the first of all
    assert Pins(tmp_path).news("ours", NEW) == (NEW, OLD)


def test_a_release_that_was_taken_in_is_no_news_after_a_restart(tmp_path: Path) -> None:
    pins = Pins(tmp_path)
    assert [pins.news("ours", live) for live in (OLD, NEW, NEW)] == [None, (NEW, OLD), None]
    assert Pins(tmp_path).news("ours", NEW) is None


def test_after_a_crash_before_a_release_was_folded_it_is_reported_again(tmp_path: Path) -> None:
    pins = Pins(tmp_path)
    assert [pins.news("ours", live) for live in (OLD, NEW)] == [None, (NEW, OLD)]
    assert Pins(tmp_path).news("ours", NEW) == (NEW, OLD)


def test_a_rollback_is_news_and_so_is_the_first_release_of_a_pipeline_that_had_none(tmp_path: Path) -> None:
    assert Pins(tmp_path).news("ours", None) is None
    pins = Pins(tmp_path)
    assert [pins.news("ours", live) for live in (NEW, OLD)] == [(NEW, None), (OLD, NEW)]


def test_each_pipeline_has_its_own_and_a_broken_file_counts_as_none(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        Pins(tmp_path).news(name, OLD)
    (tmp_path / "ours.json").write_text('{"tag": 7}')
    pins = Pins(tmp_path)
    assert [pins.news(name, NEW) for name in ("ours", "theirs")] == [None, (NEW, OLD)]


def test_a_full_disk_keeps_no_release_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    Pins(tmp_path).news("ours", OLD)
    pins = Pins(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_whole", full)
        assert [pins.news("ours", NEW) for _ in range(2)] == [(NEW, OLD), None]
    assert pins.news("ours", NEW) is None
    assert Pins(tmp_path).news("ours", NEW) is None  # written once there was room
