"""The findings in a message, by kind of alert: evidence, values with their limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from retrain.alerts.facts import (
    BackfillFacts,
    ComponentFacts,
    DriftFacts,
    FailureFacts,
    FeatureFacts,
    JudgedFacts,
    LateFacts,
    ModelFacts,
    PerformanceFacts,
    PromotionFacts,
    SilenceFacts,
)
from retrain.alerts.message.amounts import UNKNOWN, amount
from retrain.alerts.message.clock import shown
from retrain.alerts.message.mrkdwn import block, code, plain, section
from retrain.alerts.message.trouble import Trouble
from retrain.errors import Cause

_FEATURES = 4
_FEATURES_IN_THREAD = 20
_REASONS = 4
_REASONS_IN_THREAD = 10
_BASELINES = 5
_COMPONENTS = 10
_EVIDENCE = 600
_EVIDENCE_IN_THREAD = 1_800

_CAUSES = {
    Cause.DATA: "the data, not the code",
    Cause.CODE: "the release's code",
    Cause.INFRA: "network, disk, memory",
    Cause.RELEASE: "the tag or its environment",
    Cause.UNKNOWN: "the evidence does not say",
}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?")

Blocks = list[dict[str, Any]]


def details(trouble: Trouble, *, whole: bool) -> Blocks:
    """Blocks of the findings: all of them if `whole`, for the thread; else the most important, for the channel."""
    found: Blocks = []
    match trouble.facts:
        case LateFacts() as facts if not facts.gave_up:
            found = _late(trouble, facts)
        case FailureFacts() as facts:
            found = _failure(trouble, facts, whole=whole)
        case DriftFacts() as facts:
            found = _drift(facts, whole=whole)
        case PerformanceFacts() as facts:
            found = _performance(facts, whole=whole)
        case PromotionFacts() as facts:
            found = _promotion(facts)
        case SilenceFacts() as facts:
            found = _silence(trouble, facts)
        case BackfillFacts() as facts:
            found = _backfill(facts)
    return found


def _cause(trouble: Trouble) -> str:
    return f"*Cause: {trouble.cause}* ({_CAUSES[trouble.cause]})"


def _failure(trouble: Trouble, facts: FailureFacts, *, whole: bool) -> Blocks:
    evidence = block(facts.evidence or "no error was reported", _EVIDENCE_IN_THREAD if whole else _EVIDENCE)
    where = [
        f"Stage {code(facts.stage, 40)}" if facts.stage else "",
        f"Task {code(trouble.task_id, 40)}" if trouble.task_id else "",
        "" if facts.tries is None else f"{amount(facts.tries)} tr{'y' if facts.tries == 1 else 'ies'}",
        f"Release {code(facts.release, 40)}" if facts.release else "",
    ]
    return section(f"{_cause(trouble)}\n{evidence}\n{' · '.join(part for part in where if part)}")


def _late(trouble: Trouble, facts: LateFacts) -> Blocks:
    expected = shown(facts.expected_at) if facts.expected_at else UNKNOWN
    marker = f"\nMarker: {code(facts.marker)}" if facts.marker else ""
    awaited = f"\nAwaited: {code(facts.awaited)}" if facts.awaited else ""
    return section(f"{_cause(trouble)}\nExpected by {expected}.{marker}{awaited}")


def _drift(facts: DriftFacts, *, whole: bool) -> Blocks:
    """The channel shows the policy's sentences; the thread shows each value with its limit too."""
    reasons = _reasons(facts, whole=whole)
    most = _FEATURES_IN_THREAD if whole else _FEATURES
    features = [_feature(feature) for feature in facts.features[:most]] if whole or not reasons else []
    rest = len(facts.features) - most
    more = f"More features: {rest}." if features and rest > 0 else ""
    rows = facts.rows
    compared = f"{amount(rows.current)} rows that day, {amount(rows.reference)} in its reference." if rows else ""
    return [
        *section("\n".join([_severity(facts), *reasons])),
        *section("\n".join(features)),
        *section(" ".join(part for part in (compared, plain(facts.confidence, 200), more) if part)),
    ]


def _severity(facts: JudgedFacts) -> str:
    days = f" · {facts.days_open} days" if facts.days_open and facts.days_open > 1 else ""
    since = f" · since {plain(facts.since, 20)}" if facts.since and days else ""
    return f"*Severity: {plain(facts.severity or UNKNOWN, 20)}*{days}{since}"


def _reasons(facts: JudgedFacts, *, whole: bool) -> list[str]:
    reasons = [reason for reason in facts.reasons if reason.strip()]
    return [f"• {plain(reason, 250)}" for reason in reasons[: _REASONS_IN_THREAD if whole else _REASONS]]


def _feature(feature: FeatureFacts) -> str:
    measure = plain(feature.measure or "psi", 12).upper()
    kind = f" ({plain(feature.kind, 12)})" if feature.kind else ""
    value = f"{measure} {amount(feature.value)}, limit {amount(feature.limit)}"
    return f"*{plain(feature.name or UNKNOWN, 60)}*{kind}: {value}"


def _performance(facts: PerformanceFacts, *, whole: bool) -> Blocks:
    low, high = facts.interval or (None, None)
    interval = f" (interval {amount(low)} to {amount(high)})" if facts.interval else ""
    metric = plain(facts.metric or "error", 20).upper()
    reasons = _reasons(facts, whole=whole)
    values = [
        f"*{metric}:* {amount(facts.value)}, limit {amount(facts.limit)}{interval}",
        *_baselines(facts.baselines, digits=2),
    ]
    return [
        *section("\n".join([_severity(facts), *reasons])),
        *section("\n".join(values if whole or not reasons else [])),
        *section(" ".join(part for part in (plain(facts.history, 300), plain(facts.confidence, 200)) if part)),
    ]


def _baselines(baselines: Mapping[str, float | None], digits: int) -> list[str]:
    first = list(baselines.items())[:_BASELINES]
    return [f"*Baseline {plain(name, 40)}:* {amount(value, digits)}" for name, value in first]


def _promotion(facts: PromotionFacts) -> Blocks:
    lines: Sequence[str] = [
        plain(facts.reason or "The reason is not known.", 300),
        f"*Champion:* {_model(facts.champion, facts.metric)}",
        f"*Challenger:* {_model(facts.challenger, facts.metric)}",
        *_baselines(facts.baselines, digits=3),
    ]
    return section("\n".join(lines))


def _model(model: ModelFacts | None, metric: str | None) -> str:
    if model is None:
        return "not known, or none yet"
    said = f"version {plain(model.version or UNKNOWN, 20)}"
    if model.partition:
        said += f" of {plain(model.partition, 20)}"
    if model.age_days is not None:
        said += f", {amount(model.age_days, 0)} day{'s' * (model.age_days != 1)} old"
    return said + (f", {plain(metric or 'metric', 20)} {amount(model.value, 3)}" if model.value is not None else "")


def _silence(trouble: Trouble, facts: SilenceFacts) -> Blocks:
    health = list(facts.health.items())[:_COMPONENTS]
    expected = f"Expected by {shown(facts.expected_at)}." if facts.expected_at else ""
    lines = [_cause(trouble), expected, plain(facts.what, 400)]
    lines += [f"• *{plain(name.replace('_', ' '), 40)}:* {_component(value)}" for name, value in health]
    return section("\n".join(line for line in [*lines, "" if health else "Airflow's health: unknown."] if line))


def _component(health: str | ComponentFacts) -> str:
    """A component's state, with readable moments."""
    if isinstance(health, ComponentFacts):
        age = f", {amount(health.age, 0)} s old" if health.age is not None else ""
        return plain(health.status or UNKNOWN, 40) + age
    return plain(_MOMENT.sub(lambda found: shown(found[0]), health or UNKNOWN), 160)


def _backfill(facts: BackfillFacts) -> Blocks:
    if facts.total is None:
        return section("Which backfill they belong to is not known: Airflow does not say.")
    counts = f"{amount(facts.done)} done, {amount(facts.running)} running, {amount(facts.failed)} failed"
    release = f" · Release {code(facts.release, 40)}" if facts.release else ""
    return section(f"{amount(facts.total)} days: {counts}{release}")
