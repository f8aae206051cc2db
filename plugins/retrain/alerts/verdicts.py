"""What the policies say of a day, as signals. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step
from retrain.drift import DriftVerdict
from retrain.performance import PerformanceVerdict
from retrain.run_spec import RunSpec
from retrain.spell import State, Verdict


def of_drift(
    spec: RunSpec, verdict: DriftVerdict, links: Mapping[str, str], pictures: tuple[tuple[str, str], ...] = ()
) -> Signal:
    """Trouble while a spell is open, a good end while none is. `links` are facts of the message: `log_url`, `mlflow_url`."""
    facts = {
        "features": [{"name": f.name, "kind": f.kind, "value": f.value, "limit": f.limit} for f in verdict.features],
        "rows": {"current": verdict.rows, "reference": verdict.reference_rows},
    }
    return _signal(spec, Kind.DRIFT_DETECTED, verdict, {**facts, **links}, pictures)


def of_performance(
    spec: RunSpec, verdict: PerformanceVerdict, links: Mapping[str, str], pictures: tuple[tuple[str, str], ...] = ()
) -> Signal:
    """The same for the model's error."""
    facts = {
        "metric": verdict.metric,
        "value": verdict.value,
        "interval": list(verdict.interval) if verdict.interval else None,
        "limit": verdict.limit,
        "baselines": dict(verdict.baselines),
        "history": verdict.history,
    }
    return _signal(spec, Kind.PERFORMANCE_DROPPED, verdict, {**facts, **links}, pictures)


def of_promotion(spec: RunSpec, alert: bool, facts: Mapping[str, Any]) -> Signal:
    """A refusal that is worth a message, or the end of one."""
    return _plain(spec, Kind.PROMOTION_REFUSED, Step.TROUBLE if alert else Step.GOOD, facts)


def promoted(spec: RunSpec, version: str, before: str | None, reason: str) -> Signal:
    """For the daily digest."""
    facts = {"version": version, "from": before, "reason": reason, "partition": spec.partition}
    return _plain(spec, Kind.PROMOTED, Step.NOTE, facts)


def _signal(
    spec: RunSpec, kind: Kind, verdict: Verdict, facts: Mapping[str, Any], pictures: tuple[tuple[str, str], ...]
) -> Signal:
    alert = verdict.state is State.ALERT
    common = {
        "severity": verdict.severity,
        "confidence": verdict.confidence_reason,
        "reasons": list(verdict.reasons),
        "since": verdict.since,
        "days_open": verdict.days_open,
    }
    step = Step.TROUBLE if alert else Step.GOOD
    return _plain(spec, kind, step, {**common, **facts} if alert else {}, pictures if alert else ())


def _plain(
    spec: RunSpec, kind: Kind, step: Step, facts: Mapping[str, Any], pictures: tuple[tuple[str, str], ...] = ()
) -> Signal:
    return Signal(
        id=f"{spec.pipeline}/{kind}/{spec.partition}/{spec.run_key}/{step}",
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        step=step,
        pipeline=spec.pipeline,
        kind=kind,
        partition=spec.partition,
        facts=facts,
        pictures=pictures,
    )
