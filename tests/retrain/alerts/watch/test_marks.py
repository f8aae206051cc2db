"""What a channel has delivered is known after a restart, and a full disk does not hold up the next message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrain.alerts.watch import documents
from retrain.alerts.watch.marks import Marks
from retrain.alerts.watch.slack.plan import SlackMark

MARK = SlackMark("a", channel="C1", ts="1.2", digest="d", replies={"x": "1.3"}, tried={"y": 7.0})


def test_a_mark_is_there_after_a_restart_whether_its_file_names_its_version_or_not(tmp_path: Path) -> None:
    marks = Marks(tmp_path, SlackMark)
    marks.save(MARK)
    assert Marks(tmp_path, SlackMark).of("a") == MARK
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 1}))
    assert Marks(tmp_path, SlackMark).of("a") == MARK
    marks.forget("a")
    assert Marks(tmp_path, SlackMark).of("a") == SlackMark("a")


def test_a_mark_of_a_newer_version_is_put_aside(tmp_path: Path) -> None:
    Marks(tmp_path, SlackMark).save(MARK)
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 2}))
    assert Marks(tmp_path, SlackMark).of("a") == SlackMark("a")
    assert path.with_suffix(".broken").exists()


def test_a_mark_that_a_full_disk_refuses_counts_until_the_watch_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = Marks(tmp_path, SlackMark)

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(documents, "write_whole", full)
        marks.save(MARK)
    assert marks.of("a") == MARK
    assert Marks(tmp_path, SlackMark).of("a") == SlackMark("a")
    marks.save(MARK)
    assert Marks(tmp_path, SlackMark).of("a") == MARK
