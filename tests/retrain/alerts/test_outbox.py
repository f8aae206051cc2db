"""Signals on disk."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from test_incident import FAILED

from retrain.alerts import outbox as module
from retrain.alerts.errors import OutboxError
from retrain.alerts.outbox import Outbox


def test_signals_come_in_the_order_of_their_happening(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    for hour in (9, 7, 8):
        box.put(replace(FAILED, id=str(hour), at=f"2020-03-11T0{hour}:00:00.000+00:00"))
    assert [signal.id for _, signal in box.take()] == ["7", "8", "9"]


def test_a_signal_put_twice_is_there_once(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    box.put(FAILED)
    box.put(FAILED)
    assert [signal for _, signal in box.take()] == [FAILED]


def test_a_file_that_is_no_signal_is_put_aside_and_the_others_are_taken(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    box.put(FAILED)
    (tmp_path / "new" / "0.json").write_bytes(b"\xff half a file")
    assert [signal for _, signal in box.take()] == [FAILED]
    assert [path.name for path in (tmp_path / "garbage").iterdir()] == ["0.json"]


def test_a_file_that_cannot_be_read_holds_up_no_other_and_is_taken_once_it_can(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    unreadable = tmp_path / "new" / "0.json"
    unreadable.mkdir(parents=True)
    box.put(FAILED)
    for _ in range(2):
        assert [signal for _, signal in box.take()] == [FAILED]
        assert list(box.unreadable) == ["0.json"]
    assert box.waiting()[0] == 1
    unreadable.rmdir()
    unreadable.write_text(FAILED.to_json())
    assert [signal for _, signal in box.take()] == [FAILED, FAILED]
    assert box.unreadable == {}


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("no folder")
    with pytest.raises(NotADirectoryError):
        list(Outbox(tmp_path).take())
    with pytest.raises(OSError, match="new"):
        Outbox(tmp_path).check()


def test_a_signal_of_a_newer_version_is_put_aside_and_not_misread(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    box.put(FAILED)
    (path,) = (tmp_path / "new").iterdir()
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    assert list(box.take()) == []
    assert len(box.garbage()) == 1


def test_pictures_are_there_before_their_signal(tmp_path: Path) -> None:
    Outbox(tmp_path).put(replace(FAILED, pictures=(("speed.png", "speed"),)), {"speed.png": b"png"})
    assert (tmp_path / "pictures" / "speed.png").read_bytes() == b"png"


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """A disk that takes nothing while the ballast is on it."""
    box = Outbox(tmp_path)
    box.keep_ballast()
    write = module.write_whole

    def refuse(path: Path, content: bytes) -> None:
        if (tmp_path / "ballast").exists():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(module, "write_whole", refuse)
    return box


def test_on_a_full_disk_the_ballast_makes_room_for_the_words(full_disk: Outbox) -> None:
    full_disk.put(replace(FAILED, pictures=(("speed.png", "speed"),)), {"speed.png": b"png"})
    assert [signal.id for _, signal in full_disk.take()] == [FAILED.id]


def test_a_disk_that_takes_nothing_is_an_error_that_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(module, "write_whole", refuse)
    with pytest.raises(OutboxError, match="No space left on device"):
        Outbox(tmp_path).put(FAILED)
