"""The signals of a day's verdicts: drift, performance, promotion."""

from __future__ import annotations

from retrain.alerts.facts import (
    ChampionFacts,
    DriftFacts,
    FactsJson,
    FeatureFacts,
    JudgedFacts,
    PerformanceFacts,
    PromotionFacts,
    RowsFacts,
    RunFacts,
    merged,
    no_facts,
)
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step
from retrain.judge.drift import DriftVerdict
from retrain.judge.performance import PerformanceVerdict
from retrain.judge.promotion import Champion
from retrain.judge.verdict import State, Verdict
from retrain.run.run_spec import RunSpec

Pictures = tuple[tuple[str, str], ...]  # (file name in the outbox, caption)


def of_drift(spec: RunSpec, verdict: DriftVerdict, links: RunFacts, at: str, pictures: Pictures = ()) -> Signal:
    """Trouble while an episode of drift is open, a good end while none is. `at` is UTC, ISO 8601."""
    facts = DriftFacts(
        features=tuple(FeatureFacts(name=f.name, kind=f.kind, value=f.value, limit=f.limit) for f in verdict.features),
        rows=RowsFacts(current=verdict.rows, reference=verdict.reference_rows),
    )
    return _signal(spec, Kind.DRIFT_DETECTED, verdict, merged(facts.written(), links.written()), at, pictures)


def of_performance(
    spec: RunSpec, verdict: PerformanceVerdict, links: RunFacts, at: str, pictures: Pictures = ()
) -> Signal:
    """Trouble while an episode of high errors is open, a good end while none is. `at` is UTC, ISO 8601."""
    facts = PerformanceFacts(
        metric=verdict.metric,
        value=verdict.value,
        interval=verdict.interval,
        limit=verdict.limit,
        baselines=verdict.baselines,
        history=verdict.history,
    )
    return _signal(spec, Kind.PERFORMANCE_DROPPED, verdict, merged(facts.written(), links.written()), at, pictures)


def of_promotion(spec: RunSpec, at: str, facts: PromotionFacts, *, alert: bool, promoted: bool) -> Signal:
    """Trouble for a refusal that is worth a message (`alert`), else the end of such refusals.

    The end says whether the day's model was promoted: one that only loses to the champion ends the refusals too, and is not.
    """
    if alert:
        return _plain(spec, Kind.PROMOTION_REFUSED, Step.TROUBLE, facts.written(), at)
    end = PromotionFacts(reason=facts.reason, promoted=promoted)
    return _plain(spec, Kind.PROMOTION_REFUSED, Step.GOOD, end.written(), at)


def promoted(spec: RunSpec, at: str, version: str, before: Champion | None, reason: str) -> Signal:
    """A note for the daily digest. `before` is the champion until then."""
    known = before.version if before else None
    facts = ChampionFacts(version=version, before=known, reason=reason, partition=spec.partition)
    return _plain(spec, Kind.PROMOTED, Step.NOTE, facts.written(), at)


def _signal(spec: RunSpec, kind: Kind, verdict: Verdict, facts: FactsJson, at: str, pictures: Pictures) -> Signal:
    if verdict.state is not State.ALERT:
        return _plain(spec, kind, Step.GOOD, no_facts(), at)
    common = JudgedFacts(
        severity=verdict.severity,
        confidence=verdict.confidence_reason,
        reasons=verdict.reasons,
        since=verdict.since,
        days_open=verdict.days_open,
    )
    return _plain(spec, kind, Step.TROUBLE, merged(common.written(), facts), at, pictures)


def _plain(spec: RunSpec, kind: Kind, step: Step, facts: FactsJson, at: str, pictures: Pictures = ()) -> Signal:
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
