"""A silence has a reason, an issue and an end; an entry without one of them silences nothing, and stops nothing."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key
from retrain.alerts.silences import LONGEST, read, silenced

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "dags" / "silences.yaml"
ENTRY = """
- pipeline: trip_duration
  kind: data_late
  reason: The feed lands after noon until its migration is over.
  issue: https://git.example.org/retrain/issues/12
  since: 2020-03-02
  expires: 2020-03-31
"""
LATE = Incident(Key("trip_duration", Kind.DATA_LATE, ""), "2020-03-10T06:00:00+00:00", None, {})


def test_the_repository_s_own_silences_are_all_valid_and_name_pipelines_that_exist() -> None:
    found = read(FILE.read_text(encoding="utf-8"), FILE.name)
    assert found.invalid == ()
    assert {s.pipeline for s in found.entries} <= {path.stem for path in (ROOT / "dags" / "pipelines").glob("*.yaml")}


def test_the_example_in_the_file_s_comment_is_valid() -> None:
    lines = [line.removeprefix("# ") for line in FILE.read_text(encoding="utf-8").splitlines()]
    example = [line for line in lines if line.startswith(("- ", "  "))]
    found = read("\n".join(example))
    assert len(found.entries) == 1
    assert found.invalid == ()


@pytest.mark.parametrize(
    ("today", "silent"), [("2020-03-01", False), ("2020-03-02", True), ("2020-03-31", True), ("2020-04-01", False)]
)
def test_it_holds_from_its_first_day_to_its_last_and_then_alerts_again(today: str, silent: bool) -> None:
    found = read(ENTRY)
    day = date.fromisoformat(today)
    assert (silenced(found.entries, LATE, day) is not None) is silent
    assert found.entries[0].expired(day) is (today == "2020-04-01")


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(Key("other", Kind.DATA_LATE, ""), id="another pipeline"),
        pytest.param(Key("trip_duration", Kind.DATA_REJECTED, ""), id="another kind"),
    ],
)
def test_it_covers_no_incident_of(key: Key) -> None:
    assert silenced(read(ENTRY).entries, Incident(key, LATE.opened_at, None, {}), date(2020, 3, 10)) is None


@pytest.mark.parametrize(("subject", "silent"), [("push", True), ("push_", False), ("", False)])
def test_a_subject_is_exact(subject: str, silent: bool) -> None:
    entries = read(f"{ENTRY}  subject: push\n".replace("data_late", "task_failed")).entries
    failed = Incident(Key("trip_duration", Kind.TASK_FAILED, subject), LATE.opened_at, None, {})
    assert (silenced(entries, failed, date(2020, 3, 10)) is not None) is silent


def test_of_several_the_longest_is_named() -> None:
    entries = read(ENTRY + ENTRY.replace("2020-03-31", "2020-04-15")).entries
    found = silenced(entries, LATE, date(2020, 3, 10))
    assert found is not None
    assert found.expires == date(2020, 4, 15)


def test_the_longest_silence_is_92_days() -> None:
    last = date(2020, 3, 2) + LONGEST
    assert read(ENTRY.replace("2020-03-31", str(last))).entries
    assert "92 days" in read(ENTRY.replace("2020-03-31", str(last + timedelta(days=1)))).invalid[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(ENTRY.replace("  expires: 2020-03-31\n", ""), "expires: Field required", id="no expiry"),
        pytest.param(ENTRY.replace("  since: 2020-03-02\n", ""), "since: Field required", id="no beginning"),
        pytest.param(ENTRY.replace("https://git", "http://git"), "issue:", id="an issue that is no https address"),
        pytest.param(
            "".join(x for x in ENTRY.splitlines(True) if "issue" not in x), "issue: Field required", id="no issue"
        ),
        pytest.param(ENTRY.replace("2020-03-31", "2020-03-01"), "92 days", id="ends before it begins"),
        pytest.param(ENTRY.replace("2020-03-31", "2020-03-32"), "expires:", id="a day that there is not"),
        pytest.param(ENTRY.replace("2020-03-31", "never"), "expires:", id="no date"),
        pytest.param(ENTRY.replace("2020-03-31", "2020-03-31 10:00:00"), "expires:", id="a moment"),
        pytest.param(ENTRY.replace("data_late", "data_lat"), "kind:", id="no such kind"),
        pytest.param(ENTRY.replace("data_late", "promoted"), "nothing to silence", id="a quiet kind"),
        pytest.param(f"{ENTRY}  until: 2020-04-01\n", "until: Extra", id="an unknown key"),
        pytest.param(
            ENTRY.replace("The feed lands after noon until its migration is over.", '""'), "reason:", id="no reason"
        ),
        pytest.param("- just words", "entry 1", id="an entry without keys"),
        pytest.param("silences: []", "not a list", id="no list"),
        pytest.param("- [", "not YAML", id="no YAML"),
        pytest.param("[" * 5000, "not YAML", id="too deep"),
        pytest.param("\x00", "not YAML", id="a byte that YAML does not know"),
    ],
)
def test_a_broken_entry_silences_nothing_and_says_what_is_wrong(text: str, told: str) -> None:
    found = read(text)
    assert found.entries == ()
    assert told in found.invalid[0]
    assert "silences.yaml" in found.invalid[0]


def test_a_broken_entry_leaves_the_others_in_force() -> None:
    found = read(f"{ENTRY}- kind: nonsense\n{ENTRY.replace('2020-03-31', '2020-02-31')}{ENTRY}")
    assert (len(found.entries), len(found.invalid)) == (2, 2)


def test_an_empty_file_is_no_fault() -> None:
    assert read("") == read("[]") == read("# nothing\n")
