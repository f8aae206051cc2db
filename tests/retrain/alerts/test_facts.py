"""Facts are typed in the code; their form in files is the one of before."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mypy import api as mypy
from test_incident import FAILED, good

from retrain.alerts import verdicts
from retrain.alerts.facts import (
    DriftFacts,
    Facts,
    FactsJson,
    FailureFacts,
    ModelFacts,
    PerformanceFacts,
    PromotionFacts,
    RunFacts,
    merged,
    of_kind,
)
from retrain.alerts.incident import apply
from retrain.alerts.kinds import Kind
from retrain.judge.drift import DriftVerdict, Moved
from retrain.judge.performance import PerformanceVerdict
from retrain.judge.verdict import Confidence, Severity, State
from retrain.run.run_spec import RunSpec

ROOT = Path(__file__).resolve().parents[3]
AT = "2020-03-18T06:00:00.000+00:00"
SPEC = RunSpec("taxi", "2020-03-17", "v1.0.0", "a" * 40, "d" * 64)
LINKS = RunFacts(log_url="https://log", mlflow_url="https://run")
BASELINES = {"median": 4.78}

FAILURE = {
    "cause": "CODE",
    "evidence": "ImportError: no module named x",
    "stage": None,
    "next": "`make rollback`, then clear `resolve_run`.",
    "task": "reproduce",
    "tries": 3,
    "dag_run": "scheduled__2020-03-18",
    "log_url": "https://log",
    "release": "v1.0.0",
}
JUDGED = {
    "severity": "high",
    "confidence": "High confidence.",
    "reasons": ["Target drift."],
    "since": "2020-03-16",
    "days_open": 2,
    "log_url": "https://log",
    "mlflow_url": "https://run",
}
DRIFT = {
    **JUDGED,
    "features": [{"name": "speed", "kind": "target", "value": 0.75, "limit": 0.2}],
    "rows": {"current": 167, "reference": 1312},
}
PERFORMANCE = {
    **JUDGED,
    "metric": "mae",
    "value": 5.02,
    "interval": [4.43, 5.69],
    "limit": None,
    "baselines": BASELINES,
    "history": "Median 3.41.",
}
PROMOTION = {
    "reason": "mae 5.020 does not beat the baseline median (4.780).",
    "metric": "mae",
    "challenger": {"version": "10", "mae": 5.02},
    "champion": {"version": "9", "partition": "2020-03-16", "age_days": 1, "mae": 4.9},
    "baselines": BASELINES,
    "mlflow_url": "https://run",
}
# As signals had them before facts were typed.
FORMER: list[tuple[Kind, dict[str, Any]]] = [
    (Kind.DATA_LATE, {"expected_at": "2020-03-18T10:00:00+00:00", "marker": "s3://raw/_SUCCESS", "next": "Ask."}),
    (Kind.DATA_LATE, FAILURE),
    (Kind.DATA_REJECTED, FAILURE),
    (Kind.TASK_FAILED, FAILURE),
    (Kind.PUSH_UNPROVEN, FAILURE),
    (Kind.RELEASE_REFUSED, {**FAILURE, "release": None}),
    (Kind.DRIFT_DETECTED, DRIFT),
    (Kind.PERFORMANCE_DROPPED, PERFORMANCE),
    (Kind.PROMOTION_REFUSED, PROMOTION),
    (Kind.PROMOTION_REFUSED, {**PROMOTION, "champion": None}),
    (Kind.PROMOTION_REFUSED, {"reason": "mae 4.402 beats the champion's 4.913.", "promoted": True}),
    (
        Kind.PIPELINE_SILENT,
        {"expected_at": AT, "what": "No run.", "health": {"DAG": "paused", "running": "no run"}, "next": "Open it."},
    ),
    (
        Kind.BACKFILL,
        {
            "id": 12,
            "from": "2020-03-02",
            "to": "2020-03-15",
            "total": 14,
            "done": 6,
            "running": 2,
            "failed": 3,
            "state": "running",
            "release": None,
        },
    ),
    (Kind.PROMOTED, {"version": "8", "from": None, "partition": "2020-03-16", "reason": "It beats the champion."}),
    (Kind.RELEASED, {"tag": "v1.3.0", "commit": "9f2c1e7d4b6a", "from": "v1.2.0"}),
]


@pytest.mark.parametrize(("kind", "document"), FORMER)
def test_facts_of_former_files_are_read_and_written_as_they_were(kind: Kind, document: dict[str, Any]) -> None:
    assert of_kind(kind, FactsJson(document)).written() == document


def test_every_kind_has_its_facts() -> None:
    assert {kind for kind, _ in FORMER} == set(Kind)


def verdict(**more: Any) -> dict[str, Any]:
    common = {
        "partition": "2020-03-17",
        "state": State.ALERT,
        "severity": Severity.HIGH,
        "confidence": Confidence.HIGH,
        "confidence_reason": "High confidence.",
        "reasons": ("Target drift.",),
        "since": "2020-03-16",
        "days_open": 2,
        "opened": False,
        "cleared": False,
    }
    return {**common, **more}


def test_verdicts_write_what_they_have_always_written() -> None:
    moved = (Moved("speed", "target", "psi", 0.75, 0.2, 1.0),)
    drift = DriftVerdict(**verdict(features=moved, rows=167, reference_rows=1312))
    assert verdicts.of_drift(SPEC, drift, LINKS, AT).facts == DRIFT
    measured = {"metric": "mae", "value": 5.02, "interval": (4.43, 5.69), "limit": None}
    dropped = PerformanceVerdict(**verdict(**measured, baselines=BASELINES, history="Median 3.41."))
    assert verdicts.of_performance(SPEC, dropped, LINKS, AT).facts == PERFORMANCE
    calm = replace(dropped, state=State.CALM)
    assert verdicts.of_performance(SPEC, calm, LINKS, AT).facts == {}


def test_a_model_s_value_stands_under_the_name_of_its_metric() -> None:
    facts = PromotionFacts(
        reason=PROMOTION["reason"],
        metric="mae",
        challenger=ModelFacts(version="10", value=5.02),
        champion=ModelFacts(version="9", partition="2020-03-16", age_days=1, value=4.9),
        baselines=BASELINES,
        mlflow_url="https://run",
    )
    assert facts.written() == PROMOTION
    assert PromotionFacts.read(FactsJson(PROMOTION)) == facts


def test_a_fact_of_another_type_is_unknown_and_the_others_are_read() -> None:
    odd = {**DRIFT, "severity": ["high"], "days_open": "two", "rows": 7, "features": [None, {"name": "speed"}, "x"]}
    facts = DriftFacts.read(FactsJson(odd))
    assert (facts.severity, facts.days_open, facts.rows) == (None, None, None)
    assert [feature.name for feature in facts.features] == ["speed"]
    assert facts.reasons == ("Target drift.",)
    broken = PerformanceFacts.read(FactsJson({"interval": [1.0, "x"], "baselines": {"a": "b"}, "value": True}))
    assert (broken.interval, broken.baselines, broken.value) == (None, {"a": None}, None)
    assert FailureFacts.read(FactsJson({"cause": "nobody", "evidence": 3})) == FailureFacts(evidence="3")


@pytest.mark.parametrize("document", [None, [], ["cause"], "text", 3])
def test_a_json_value_that_is_no_object_has_no_facts(document: Any) -> None:
    assert of_kind(Kind.TASK_FAILED, FactsJson(document)) == FailureFacts()


def test_an_incident_keeps_the_facts_that_only_a_newer_version_knows() -> None:
    newer = replace(FAILED, facts=FactsJson({**FAILURE, "retry_at": "06:30", "stage": {"name": "train"}}))
    (opened,) = apply([], newer)
    (ended,) = apply([opened], replace(good("2020-03-10"), facts=RunFacts(dag_run="rerun").written()))
    assert ended.facts == {**FAILURE, "retry_at": "06:30", "stage": {"name": "train"}, "dag_run": "rerun"}


def test_the_newer_of_two_facts_counts() -> None:
    older, newer = FailureFacts(cause=None, tries=1), FailureFacts(tries=2)
    assert json.loads(json.dumps(merged(older.written(), newer.written()))) == {"cause": None, "tries": 2}


def test_a_misspelt_fact_is_an_error_of_the_type_checker(tmp_path: Path) -> None:
    code = [
        "from retrain.alerts.facts import FailureFacts",
        "from retrain.alerts.signal import Signal, Step",
        "signal = Signal('id', 'at', Step.NOTE, 'taxi', None, facts=FailureFacts(evidence='x').written())",
        "FailureFacts(evidense='x')",
        "FailureFacts().evidense",
        "Signal('id', 'at', Step.NOTE, 'taxi', None, facts={'evidense': 'x'})",
        "signal.facts['evidense']",
    ]
    config = str(ROOT / "pyproject.toml")
    said, _, _ = mypy.run(["--config-file", config, "--cache-dir", str(tmp_path), "-c", "\n".join(code)])
    assert re.findall(r"^<string>:(\d+): error", said, re.MULTILINE) == ["4", "5", "6", "7"], said


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Facts.__setattr__(RunFacts(dag_run="x"), "dag_run", "y")
