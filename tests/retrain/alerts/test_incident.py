"""One problem, one incident."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from retrain.alerts.errors import SignalError
from retrain.alerts.incident import Incident, Situation, apply, restated
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step

FAILED = Signal(
    id="run-10/reproduce/3",
    at="2020-03-11T06:05:00.000+00:00",
    step=Step.TROUBLE,
    pipeline="trip_duration",
    kind=Kind.TASK_FAILED,
    subject="reproduce",
    partition="2020-03-10",
    task="reproduce",
    facts={"cause": "CODE", "evidence": "ImportError"},
)
DRIFTED = replace(
    FAILED,
    id="drift-17",
    kind=Kind.DRIFT_DETECTED,
    subject="",
    task=None,
    partition="2020-03-17",
    facts={"severity": "low"},
)


def good(partition: str | None, at: str = "2020-03-12T06:05:00.000+00:00", **changes: object) -> Signal:
    plain = replace(
        FAILED, id=f"good {partition} {at}", at=at, step=Step.GOOD, kind=None, partition=partition, facts={}
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def told(signals: Iterable[Signal]) -> list[Incident]:
    """Every incident that the signals made, in the order of opening."""
    made: dict[str, Incident] = {}
    for signal in signals:
        for incident in apply(list(made.values()), signal):
            made[incident.id] = incident
    return list(made.values())


def test_the_second_day_of_the_same_problem_is_a_line_in_its_thread() -> None:
    next_day = replace(FAILED, id="run-11", at="2020-03-12T06:05:00.000+00:00", partition="2020-03-11")
    [incident] = told([FAILED, next_day])
    assert len(incident.troubles) == 2
    assert incident.missing == ["2020-03-10", "2020-03-11"]


def test_while_a_day_is_left_the_incident_goes_on_saying_what_is_wrong_with_it() -> None:
    next_day = replace(
        FAILED,
        id="run-11",
        at="2020-03-12T06:05:00.000+00:00",
        partition="2020-03-11",
        facts={"reason": "a baseline wins"},
    )
    rerun = good("2020-03-10", "2020-03-12T07:05:00.000+00:00", facts={"reason": "it beats the champion"})
    [incident] = told([FAILED, next_day, rerun])
    assert (incident.open, incident.missing) == (True, ["2020-03-11"])
    assert incident.facts == {"reason": "a baseline wins"}


def test_an_answer_of_the_ledger_to_an_earlier_question_changes_nothing() -> None:
    older, newer = (Situation(f"2020-03-11T06:0{m}:00.000+00:00", champion=str(m)) for m in (5, 6))
    [incident] = apply([], FAILED, newer)
    assert restated(incident, older) is incident
    [worse] = apply([incident], replace(FAILED, id="again"), older)
    assert worse.situation == newer
    assert (
        restated(incident, replace(newer, as_of="2020-03-11T07:00:00.000+00:00")) is incident
    )  # it would say the same


def test_a_signal_taken_twice_changes_nothing() -> None:
    [incident] = told([FAILED])
    assert apply([incident], FAILED) == []
    assert len(told([FAILED, FAILED, replace(FAILED, facts={"cause": "INFRA"})])) == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(FAILED, id="2", pipeline="another"), id="another pipeline"),
        pytest.param(replace(FAILED, id="2", subject="push", task="push"), id="another task"),
        pytest.param(replace(FAILED, id="2", kind=Kind.DATA_REJECTED), id="another kind"),
    ],
)
def test_another_problem_is_another_incident(other: Signal) -> None:
    assert len(told([FAILED, other])) == 2


def test_the_same_day_done_well_ends_the_problem() -> None:
    [incident] = told([FAILED, good("2020-03-10")])
    assert incident.resolved_at == "2020-03-12T06:05:00.000+00:00"
    assert incident.missing == []


def test_a_newer_day_done_well_ends_the_problem_and_the_day_without_a_run_stays_named() -> None:
    [incident] = told([FAILED, good("2020-03-11")])
    assert not incident.open
    assert incident.missing == ["2020-03-10"]


@pytest.mark.parametrize("backfill", [False, True])
def test_a_day_that_an_ended_problem_left_behind_is_made_up_for_and_the_end_stays(backfill: bool) -> None:
    ended = good("2020-03-11")
    later = good("2020-03-10", at="2020-03-14T09:00:00.000+00:00", backfill=backfill)
    [incident] = told([FAILED, ended, later, later])
    assert (incident.missing, incident.resolved_at) == ([], ended.at)
    assert [entry.id for entry in incident.entries] == [FAILED.id, ended.id, later.id]


def test_a_good_run_after_the_end_changes_nothing_unless_its_day_was_left_behind() -> None:
    [incident] = told([FAILED, good("2020-03-11"), good("2020-03-12", at="2020-03-13T06:05:00.000+00:00")])
    assert len(incident.entries) == 2


def test_an_older_day_done_well_says_nothing_about_the_problem() -> None:
    [incident] = told([FAILED, good("2020-03-01")])
    assert incident.open


def test_a_backfill_of_newer_days_does_not_end_what_the_daily_run_met() -> None:
    [incident] = told([FAILED, good("2020-03-11", backfill=True)])
    assert incident.open


def test_a_backfill_of_the_very_day_does() -> None:
    [incident] = told([FAILED, good("2020-03-10", backfill=True)])
    assert not incident.open


def test_one_of_two_failing_days_done_well_leaves_the_other_open() -> None:
    next_day = replace(FAILED, id="run-11", at="2020-03-12T06:05:00.000+00:00", partition="2020-03-11")
    [incident] = told([FAILED, next_day, good("2020-03-10", at="2020-03-12T09:00:00.000+00:00")])
    assert incident.open
    assert incident.missing == ["2020-03-11"]


def test_a_good_end_from_before_the_trouble_does_not_end_it() -> None:
    [incident] = told([FAILED, good("2020-03-10", at="2020-03-11T06:04:00.000+00:00")])
    assert incident.open
    [incident] = told([FAILED, good("2020-03-11", at="2020-03-11T06:04:00.000+00:00")])
    assert incident.open


def test_the_good_end_of_another_task_ends_nothing() -> None:
    [incident] = told([FAILED, good("2020-03-10", task="push")])
    assert incident.open


def test_a_problem_that_comes_back_is_a_new_incident() -> None:
    again = replace(FAILED, id="run-13", at="2020-03-14T06:05:00.000+00:00", partition="2020-03-13")
    first, second = told([FAILED, good("2020-03-10"), again])
    assert not first.open
    assert second.open
    assert first.id != second.id


def test_two_months_of_drift_are_one_incident_that_a_calm_day_ends() -> None:
    days = [f"2020-{month:02}-{day:02}" for month in (3, 4) for day in range(1, 31)][16:]
    drifting = [replace(DRIFTED, id=day, at=f"{day}T06:00:00.000+00:00", partition=day) for day in days]
    calm = replace(
        DRIFTED, id="calm", step=Step.GOOD, at="2020-05-09T06:00:00.000+00:00", partition="2020-05-08", facts={}
    )
    [incident] = told([*drifting, calm])
    assert len(incident.troubles) == len(days)
    assert incident.resolved_at == calm.at


def test_only_a_rise_in_severity_sounds_again() -> None:
    severities = ["low", "low", "high", "medium", "high"]
    [incident] = told(
        replace(DRIFTED, id=str(n), at=f"2020-03-{17 + n}T06:00:00.000+00:00", facts={"severity": severity})
        for n, severity in enumerate(severities)
    )
    assert [entry.loud for entry in incident.entries] == [False, False, True, False, True]


def test_progress_changes_the_message_and_adds_no_line() -> None:
    counted = replace(FAILED, id="b1", step=Step.PROGRESS, kind=Kind.BACKFILL, subject="7", partition=None, task=None)
    [incident] = told([replace(counted, facts={"done": 1}), replace(counted, id="b2", facts={"done": 2})])
    assert incident.facts["done"] == 2
    assert incident.entries == ()
    assert apply([incident], replace(counted, id="b3", facts={"done": 2})) == []


def test_a_day_that_a_backfill_failed_and_then_did_does_not_end_the_backfills_message() -> None:
    key = Key("trip_duration", Kind.BACKFILL, "7")
    counted = replace(FAILED, id="b1", step=Step.PROGRESS, kind=key.kind, subject="7", partition=None, task=None)
    failed = replace(FAILED, id="b2", kind=Kind.BACKFILL, subject="7", backfill=True)
    [incident] = told([counted, failed, good("2020-03-10", backfill=True)])
    assert incident.open
    finished = replace(
        counted, id="b3", at="2020-03-12T07:00:00.000+00:00", step=Step.GOOD, facts={"state": "finished"}
    )
    [incident] = apply([incident], finished)
    assert not incident.open
    assert incident.facts["state"] == "finished"


def test_a_note_is_nobodys_incident() -> None:
    assert told([replace(FAILED, step=Step.NOTE, kind=Kind.PROMOTED)]) == []


def test_a_signal_survives_its_file() -> None:
    full = replace(FAILED, pictures=(("a.png", "speed"),))
    assert Signal.from_json(full.to_json(), "a.json") == full
    assert Signal.from_json(good("2020-03-10").to_json(), "a.json") == good("2020-03-10")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema_version": 2}',
        '{"schema_version": 1, "step": "x"}',
        "null",
        good("2020-03-10").to_json().replace('"facts": {}', '"facts": []'),
    ],
)
def test_a_text_that_is_no_signal_is_refused_with_its_file_s_name(text: str) -> None:
    with pytest.raises(SignalError, match=r"a\.json"):
        Signal.from_json(text, "a.json")
