"""What the policies say of a day, as signals. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step
from retrain.judge.drift import DriftVerdict
from retrain.judge.performance import PerformanceVerdict
from retrain.judge.promotion import Champion
from retrain.judge.verdict import State, Verdict
from retrain.run.run_spec import RunSpec

Pictures = tuple[tuple[str, str], ...]  # (file name in the outbox, what it shows)


def of_drift(
    spec: RunSpec, verdict: DriftVerdict, links: Mapping[str, str], at: str, pictures: Pictures = ()
) -> Signal:
    """Trouble while a spell is open, a good end while none is. `links` are facts of the message: `log_url`, `mlflow_url`."""
    facts = {
        "features": [{"name": f.name, "kind": f.kind, "value": f.value, "limit": f.limit} for f in verdict.features],
        "rows": {"current": verdict.rows, "reference": verdict.reference_rows},
    }
    return _signal(spec, Kind.DRIFT_DETECTED, verdict, {**facts, **links}, at, pictures)


def of_performance(
    spec: RunSpec, verdict: PerformanceVerdict, links: Mapping[str, str], at: str, pictures: Pictures = ()
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
    return _signal(spec, Kind.PERFORMANCE_DROPPED, verdict, {**facts, **links}, at, pictures)


def of_promotion(spec: RunSpec, at: str, facts: Mapping[str, Any], *, alert: bool, promoted: bool) -> Signal:
    """A refusal that is worth a message, or the end of such refusals: with the decision's own reason, and whether the day's
    model was promoted. A model that only loses to the champion ends the refusals too, and is not promoted.
    """
    if alert:
        return _plain(spec, Kind.PROMOTION_REFUSED, Step.TROUBLE, facts, at)
    end = {"reason": facts["reason"], "promoted": promoted}
    return _plain(spec, Kind.PROMOTION_REFUSED, Step.GOOD, end, at)


def promoted(spec: RunSpec, at: str, version: str, before: Champion | None, reason: str) -> Signal:
    """For the daily digest."""
    known = before.version if before else None
    facts = {"version": version, "from": known, "reason": reason, "partition": spec.partition}
    return _plain(spec, Kind.PROMOTED, Step.NOTE, facts, at)


def _signal(
    spec: RunSpec, kind: Kind, verdict: Verdict, facts: Mapping[str, Any], at: str, pictures: Pictures
) -> Signal:
    if verdict.state is not State.ALERT:
        return _plain(spec, kind, Step.GOOD, {}, at)
    common = {
        "severity": verdict.severity,
        "confidence": verdict.confidence_reason,
        "reasons": list(verdict.reasons),
        "since": verdict.since,
        "days_open": verdict.days_open,
    }
    return _plain(spec, kind, Step.TROUBLE, {**common, **facts}, at, pictures)


def _plain(spec: RunSpec, kind: Kind, step: Step, facts: Mapping[str, Any], at: str, pictures: Pictures = ()) -> Signal:
    return Signal(
        id=f"{spec.pipeline}/{kind}/{spec.partition}/{spec.run_key}/{step}",
        at=at,
        step=step,
        pipeline=spec.pipeline,
        kind=kind,
        partition=spec.partition,
        facts=facts,
        pictures=pictures,
    )
