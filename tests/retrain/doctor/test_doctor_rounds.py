"""The checks are made one after the other, each within its time; none ends the others, and none prints a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

from retrain.doctor.finding import Finding, Found, ok, unknown, without_secrets, wrong
from retrain.doctor.rounds import examine
from retrain.doctor.surroundings import Surroundings, look_around
from retrain.errors import OriginError

HERE = Surroundings({}, Path("nowhere"), "http://127.0.0.1:1")


def fails(_: Surroundings) -> Iterator[Finding]:
    yield ok("first", "is fine")
    raise OriginError("The origin is gone.")


def breaks(_: Surroundings) -> Iterator[Finding]:
    yield from ()
    raise KeyError("hm")


def works(_: Surroundings) -> list[Finding]:
    return [ok("last", "is fine")]


def test_a_check_that_fails_is_wrong_and_the_others_are_made() -> None:
    found = list(examine({"fails": fails, "breaks": breaks, "works": works}, HERE))
    assert [(each.thing, each.found) for each in found] == [
        ("first", Found.OK),
        ("fails", Found.WRONG),
        ("breaks", Found.WRONG),
        ("last", Found.OK),
    ]
    assert "The origin is gone." in found[1].seen


def test_a_check_that_hangs_is_wrong_after_its_time_and_what_it_found_before_is_kept() -> None:
    released = Event()

    def hangs(_: Surroundings) -> Iterator[Finding]:
        yield ok("first", "is fine")
        released.wait(60)

    found = list(examine({"hangs": hangs, "works": works}, HERE, seconds=0.2))
    released.set()
    assert [(each.thing, each.found) for each in found] == [
        ("first", Found.OK),
        ("hangs", Found.WRONG),
        ("last", Found.OK),
    ]


def test_no_finding_holds_a_secret() -> None:
    token = "xoxb-12-abcdef"
    found = [
        wrong("a", "refused https://user:hunter22hunter@host/x", f"not {token}"),
        ok("b", "the value is swordfish"),
    ]
    said = str(without_secrets(found, {"swordfish"}))
    assert "hunter22hunter" not in said
    assert token not in said
    assert "swordfish" not in said


def test_a_finding_is_a_line_and_its_fix_a_second_one() -> None:
    assert ok("a", "is fine").lines == ["ok           a: is fine"]
    assert wrong("a", "is not", "Do it.").lines == ["WRONG        a: is not", "               fix: Do it."]
    assert unknown("a", "is elsewhere", "there").lines[1] == "               see: there"


def test_the_advice_to_clear_a_task_is_left_out() -> None:
    assert wrong("a", "S3 did not answer. Clear the task when it does.", "Do it.").seen == "S3 did not answer."
    assert wrong("a", "Check the key, then clear the task.", "Do it.").seen == "Check the key."


def test_a_broken_pipeline_file_is_named_and_the_others_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("schema_version: 1\n")
    here = look_around({"RETRAIN_AIRFLOW_API_URL": "http://airflow:8080/"}, tmp_path, "http://127.0.0.1:8080")
    assert list(here.broken) == ["broken.yaml"]
    assert here.airflow == "http://airflow:8080"
