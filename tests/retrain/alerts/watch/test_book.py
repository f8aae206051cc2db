"""The book of incidents: a crash at any point neither repeats nor loses anything."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrain.alerts.incident import Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch import documents
from retrain.alerts.watch.book import Book

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


def test_folded_signals_are_there_after_a_restart(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for signal in (FAILED, GOOD, NOTE):
        assert book.fold(signal, SITUATION)
        book.save()
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
        book.save()
    before = book.incidents()
    for known in (book, Book(tmp_path)):
        assert not any(known.fold(signal) for signal in signals)
        assert known.incidents() == before


def test_a_crash_between_closing_and_removing_leaves_the_incident_closed(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.fold(FAILED)
    book.save()
    (path,) = (tmp_path / "open").iterdir()
    kept = path.read_bytes()
    book.fold(GOOD)
    book.save()
    path.write_bytes(kept)
    assert Book(tmp_path).open() == []
    assert not path.exists()


def test_on_a_full_disk_incidents_count_from_memory_and_are_saved_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(tmp_path)

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(documents, "write_whole", full)
        for name in ("push", "promote"):
            book.fold(replace(FAILED, id=name, subject=name))
            with pytest.raises(OSError, match="No space"):
                book.save()
        assert len(book.open()) == 2
        assert Book(tmp_path).open() == []
    book.save()
    assert Book(tmp_path).open() == book.open()


def test_a_file_that_cannot_be_read_is_put_aside_and_the_others_are_read(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.fold(FAILED)
    book.save()
    (tmp_path / "open" / "bad.json").write_text('{"schema_version": 9}')
    assert Book(tmp_path).open() == book.open()
    assert (tmp_path / "open" / "bad.broken").exists()


def test_an_incident_that_the_disk_refuses_does_not_hold_up_the_saving_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, write = Book(tmp_path), documents.write_whole

    def refuse(path: Path, content: bytes) -> None:
        if b'"subject": "push"' in content:
            raise OSError(5, "Input/output error")
        write(path, content)

    monkeypatch.setattr(documents, "write_whole", refuse)
    book.fold(FAILED)
    book.fold(replace(FAILED, id="d", subject="promote"))
    with pytest.raises(OSError, match="Input/output"):
        book.save()
    assert [known.key.subject for known in Book(tmp_path).open()] == ["promote"]


def test_an_incident_of_an_older_version_is_read_and_of_a_newer_or_unknown_one_put_aside(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.fold(FAILED, SITUATION)
    book.save()
    (path,) = (tmp_path / "open").iterdir()
    document = json.loads(path.read_text())
    del document["situation"]["unknown"]  # came with version 2
    path.write_text(json.dumps({**document, "schema_version": 1}))
    assert Book(tmp_path).open() == book.open()
    del document["schema_version"]
    for version in ({"schema_version": 99}, {}):
        path.write_text(json.dumps({**document, **version}))
        assert Book(tmp_path).open() == []
        assert path.with_suffix(".broken").exists()
        path.with_suffix(".broken").unlink()


def test_a_new_situation_is_shown_in_the_pipeline_s_open_incidents(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.fold(FAILED, SITUATION)
    book.fold(replace(FAILED, id="theirs", pipeline="theirs"), SITUATION)
    book.fold(replace(FAILED, id="backfill", kind=Kind.BACKFILL, subject="4"))
    now = Situation("2020-03-18T07:00:00+00:00", champion="13")
    assert book.restate("ours", now)
    assert {(i.key.pipeline, i.key.kind): i.situation for i in book.open()} == {
        ("ours", Kind.TASK_FAILED): now,
        ("theirs", Kind.TASK_FAILED): SITUATION,
        ("ours", Kind.BACKFILL): None,
    }
    book.save()
    assert Book(tmp_path).open() == book.open()
    # Neither the same again nor an answer to an older question changes a message.
    assert not book.restate("ours", replace(now, as_of="2020-03-18T08:00:00+00:00"))
    assert not book.restate("ours", SITUATION)


def test_incidents_that_ended_over_ninety_days_ago_are_removed_and_open_ones_never(tmp_path: Path) -> None:
    book = Book(tmp_path)
    still = replace(FAILED, id="d", subject="promote", task="promote")
    for signal in (FAILED, still, GOOD, NOTE):
        book.fold(signal)
    book.save()
    assert book.prune(datetime(2020, 6, 15, tzinfo=UTC)) == []
    (gone,) = book.prune(datetime(2020, 6, 18, tzinfo=UTC))
    assert "/push/" in gone
    assert [known.key.subject for known in Book(tmp_path).incidents()] == ["promote"]
    assert Book(tmp_path).notes("2020", "2021") == []
