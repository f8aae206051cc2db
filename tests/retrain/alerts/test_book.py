"""The book: a crash at any point repeats nothing and loses nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrain.alerts import book as book_module
from retrain.alerts.book import Book, Marks, Told
from retrain.alerts.incident import Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step

FAILED = Signal(
    id="a",
    at="2020-03-18T06:00:00.000+00:00",
    step=Step.TROUBLE,
    pipeline="ours",
    kind=Kind.TASK_FAILED,
    subject="push",
    partition="2020-03-17",
    task="push",
    facts={"evidence": "S3 answered 503"},
    pictures=(("x.png", "x"),),
)
GOOD = replace(FAILED, id="b", at="2020-03-18T07:00:00.000+00:00", step=Step.GOOD, kind=None, subject="", pictures=())
NOTE = replace(FAILED, id="c", step=Step.NOTE, kind=Kind.PROMOTED, subject="7")
SITUATION = Situation("2020-03-18T05:59:00+00:00", champion="12")


def test_what_was_folded_is_there_after_a_restart_as_it_was(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for signal in (FAILED, GOOD, NOTE):
        assert book.fold(signal, SITUATION)
    again = Book(tmp_path)
    assert again.incidents() == book.incidents()
    assert again.notes("2020-03-18", "2020-03-19") == [NOTE]
    assert [path.name for path in (tmp_path / "open").iterdir()] == []


@pytest.mark.parametrize("ended", [False, True])
def test_folding_a_signal_again_changes_nothing(tmp_path: Path, ended: bool) -> None:
    book = Book(tmp_path)
    signals = [FAILED, GOOD, NOTE] if ended else [FAILED, NOTE]
    for signal in signals:
        book.fold(signal)
    before = book.incidents()
    for known in (book, Book(tmp_path)):
        assert not any(known.fold(signal) for signal in signals)
        assert known.incidents() == before


def test_a_crash_between_closing_and_removing_leaves_the_incident_closed(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.fold(FAILED)
    (path,) = (tmp_path / "open").iterdir()
    kept = path.read_bytes()
    book.fold(GOOD)
    path.write_bytes(kept)
    assert Book(tmp_path).open() == []
    assert not path.exists()


def test_a_full_disk_holds_up_no_message_and_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book(tmp_path)

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(book_module, "write_whole", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                book.fold(FAILED)
        assert len(book.open()) == 1
        assert Book(tmp_path).open() == []
    assert not book.fold(FAILED)
    assert Book(tmp_path).open() == book.open()


def test_a_file_that_cannot_be_read_is_put_aside_and_the_others_are_read(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.fold(FAILED)
    (tmp_path / "open" / "bad.json").write_text('{"schema_version": 9}')
    assert Book(tmp_path).open() == book.open()
    assert (tmp_path / "open" / "bad.broken").exists()


def test_what_ended_over_ninety_days_ago_is_forgotten_and_what_is_open_never(tmp_path: Path) -> None:
    book = Book(tmp_path)
    still = replace(FAILED, id="d", subject="promote", task="promote")
    for signal in (FAILED, still, GOOD, NOTE):
        book.fold(signal)
    assert book.prune(datetime(2020, 6, 15, tzinfo=UTC)) == []
    (gone,) = book.prune(datetime(2020, 6, 18, tzinfo=UTC))
    assert "/push/" in gone
    assert [known.key.subject for known in Book(tmp_path).incidents()] == ["promote"]
    assert Book(tmp_path).notes("2020", "2021") == []


def test_what_was_told_is_there_after_a_restart(tmp_path: Path) -> None:
    marks = Marks(tmp_path, Told)
    told = Told("a", channel="C1", ts="1.2", digest="d", replies={"x": "1.3"}, tried={"y": 7.0})
    marks.save(told)
    assert Marks(tmp_path, Told).of("a") == told
    marks.forget("a")
    assert Marks(tmp_path, Told).of("a") == Told("a")
