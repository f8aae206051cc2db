"""What tasks hand to each other: typed, with a JSON form, and refused by name when another version wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from retrain.errors import TaskResultError
from retrain.judge.drift import DriftVerdict, Moved
from retrain.judge.performance import PerformanceVerdict
from retrain.judge.verdict import Confidence, Severity, State
from retrain.results import (
    RESULTS,
    Checked,
    Promoted,
    Pushed,
    Recorded,
    Removed,
    Reproduced,
    Resolved,
    TaskResult,
    schemas,
)
from retrain.run.run_spec import RunSpec
from retrain.run.stage_run import StageOutcome, StageRun

SPEC = RunSpec("taxi", "2020-03-05", "v1.0.0", "c" * 40, "d" * 64)
COMMON: dict[str, Any] = {
    "partition": SPEC.partition,
    "state": State.ALERT,
    "severity": Severity.HIGH,
    "confidence": Confidence.HIGH,
    "confidence_reason": "High confidence.",
    "reasons": ("Target drift.",),
    "since": "2020-03-04",
    "days_open": 2,
    "opened": False,
    "cleared": False,
}
EXAMPLES: tuple[TaskResult, ...] = (
    Resolved.of(SPEC, "scheduled__1", "daily"),
    Reproduced(
        "/srv/w",
        "e" * 64,
        2,
        (StageRun("train", StageOutcome.RAN, 12.5, 300 << 20), StageRun("drift", StageOutcome.CACHED, 0.1, 0)),
        14.0,
        ("2 files, 10 bytes laid at data/raw",),
    ),
    Pushed("receipts/x.json", 3, 400, 1, 0, 4, 0.5),
    Recorded(
        False, "run", "1", "7", "http://mlflow/#/run", {"model.mae": 4.1}, ("draw",), "Stage draw gave other bytes."
    ),
    Checked(
        DriftVerdict(
            **COMMON, features=(Moved("speed", "target", "psi", 0.4, 0.2, 1.0),), rows=300, reference_rows=900
        ),
        PerformanceVerdict(
            **COMMON, metric="mae", value=5.0, interval=(4.5, 5.5), limit=None, baselines={"median": 4.0}, history=""
        ),
        True,
    ),
    Promoted(True, "7", "mae 4.1 beats the champion's 4.2."),
    Removed(("scheduled-1",)),
)


def ids(result: TaskResult) -> str:
    return result.task


@pytest.mark.parametrize("result", EXAMPLES, ids=ids)
def test_a_result_survives_xcom(result: TaskResult) -> None:
    assert type(result).from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize("result", EXAMPLES, ids=ids)
def test_a_result_follows_its_json_schema(result: TaskResult) -> None:
    Draft202012Validator(schemas()[result.task]).validate(result.to_json())


def test_there_is_an_example_of_every_result() -> None:
    assert [type(example) for example in EXAMPLES] == list(RESULTS)


@pytest.mark.parametrize("result", EXAMPLES, ids=ids)
@pytest.mark.parametrize("version", [None, 1, 3, "2"])
def test_a_result_of_another_version_says_which_task_to_clear(result: TaskResult, version: object) -> None:
    other = {**result.to_json(), "schema_version": version}
    with pytest.raises(TaskResultError, match=rf"{result.task} has schema_version .*Clear resolve_run"):
        type(result).from_json(other)


def test_what_the_deployment_before_left_says_which_task_to_clear() -> None:
    """Its results had no version."""
    before = {**SPEC.to_dict(), "dag_run": "scheduled__1", "mode": "daily"}
    with pytest.raises(TaskResultError, match=r"schema_version None.*Clear resolve_run"):
        Resolved.from_json(before)


def test_a_result_without_a_field_names_it() -> None:
    document = EXAMPLES[2].to_json()
    del document["receipt"]
    with pytest.raises(TaskResultError, match=r"push cannot be read \(receipt: .*Clear push"):
        Pushed.from_json(document)


def test_a_record_that_the_deployment_before_wrote_names_no_stage() -> None:
    before = EXAMPLES[3].to_json()
    del before["not_repeatable"], before["note"]
    recorded = Recorded.from_json(before)
    assert (recorded.not_repeatable, recorded.note) == ((), "")


def test_a_resolved_run_gives_its_spec_back() -> None:
    assert Resolved.of(SPEC, "scheduled__1", "daily").spec == SPEC


def test_stages_that_ran_are_told_from_those_out_of_the_cache() -> None:
    reproduced = EXAMPLES[1]
    assert isinstance(reproduced, Reproduced)
    assert (reproduced.executed, reproduced.cached) == (["train"], ["drift"])
