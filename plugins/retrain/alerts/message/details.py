"""What was found, by kind: the evidence, and values beside their limits. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from retrain.alerts.facts import UNKNOWN, Facts, number
from retrain.alerts.kinds import Kind
from retrain.alerts.message import trouble as wording
from retrain.alerts.message.clock import shown
from retrain.alerts.message.mrkdwn import block, code, plain, section
from retrain.alerts.message.trouble import Trouble

_FEATURES = 4
_FEATURES_IN_THREAD = 20
_REASONS = 4
_REASONS_IN_THREAD = 10
_BASELINES = 5
_COMPONENTS = 10
_EVIDENCE = 600
_EVIDENCE_IN_THREAD = 1_800

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?")

Blocks = list[dict[str, Any]]


def details(trouble: Trouble, *, whole: bool) -> Blocks:
    """Blocks of what was found; `whole` in the thread, the most telling of it in the channel."""
    if trouble.failed:
        return _failure(trouble, whole=whole)
    if trouble.kind is Kind.DRIFT_DETECTED:
        return _drift(trouble.facts, whole=whole)
    if trouble.kind is Kind.PERFORMANCE_DROPPED:
        return _performance(trouble.facts, whole=whole)
    return _BY_KIND.get(trouble.kind, _reason)(trouble)


def _reason(trouble: Trouble) -> Blocks:
    return section(plain(trouble.facts.text("reason")))


def _failure(trouble: Trouble, *, whole: bool) -> Blocks:
    facts = trouble.facts
    evidence = block(facts.text("evidence", "no error was reported"), _EVIDENCE_IN_THREAD if whole else _EVIDENCE)
    where = [
        f"Stage {code(facts.text('stage'), 40)}" if facts.has("stage") else "",
        f"Task {code(trouble.task_id, 40)}" if trouble.task_id else "",
        f"{number(facts.all.get('tries'))} tr{'y' if facts.all.get('tries') == 1 else 'ies'}"
        if facts.has("tries")
        else "",
        f"Release {code(facts.text('release'), 40)}" if facts.has("release") else "",
    ]
    return section(f"{wording.cause(trouble)}\n{evidence}\n{' · '.join(part for part in where if part)}")


def _late(trouble: Trouble) -> Blocks:
    facts = trouble.facts
    expected = shown(facts.text("expected_at")) if facts.has("expected_at") else UNKNOWN
    marker = f"\nMarker: {code(facts.text('marker'))}" if facts.has("marker") else ""
    return section(f"{wording.cause(trouble)}\nExpected by {expected}.{marker}")


def _drift(facts: Facts, *, whole: bool) -> Blocks:
    """The policy's own sentences say what moved and how far; each value beside its limit is in the thread."""
    features, rows = facts.parts("features"), facts.part("rows")
    reasons = _reasons(facts, whole=whole)
    most = _FEATURES_IN_THREAD if whole else _FEATURES
    shown = [_feature(feature) for feature in features[:most]] if whole or not reasons else []
    more = f"More features: {len(features) - most}." if shown and len(features) > most else ""
    counted = (
        f"{rows.number('current')} rows that day, {rows.number('reference')} in its reference." if rows.all else ""
    )
    return [
        *section("\n".join([_severity(facts), *reasons])),
        *section("\n".join(shown)),
        *section(" ".join(part for part in (counted, _confidence(facts), more) if part)),
    ]


def _severity(facts: Facts) -> str:
    return f"*Severity: {plain(facts.text('severity', UNKNOWN), 20)}*{_days_open(facts)}"


def _reasons(facts: Facts, *, whole: bool) -> list[str]:
    reasons = facts.texts("reasons")[: _REASONS_IN_THREAD if whole else _REASONS]
    return [f"• {plain(reason, 250)}" for reason in reasons]


def _confidence(facts: Facts) -> str:
    return plain(facts.text("confidence_reason", facts.text("confidence")), 200)


def _days_open(facts: Facts) -> str:
    days, since = facts.all.get("days_open"), facts.text("since")
    told = f" · {days} days" if isinstance(days, int) and not isinstance(days, bool) and days > 1 else ""
    return told + (f" · since {plain(since, 20)}" if since and told else "")


def _feature(feature: Facts) -> str:
    measure = plain(feature.text("measure", "psi"), 12).upper()
    kind = f" ({plain(feature.text('kind'), 12)})" if feature.has("kind") else ""
    value = f"{measure} {feature.number('value')}, limit {feature.number('limit')}"
    return f"*{plain(feature.text('name', UNKNOWN), 60)}*{kind}: {value}"


def _performance(facts: Facts, *, whole: bool) -> Blocks:
    interval = facts.numbers("interval")
    between = f" (interval {number(interval[0])} to {number(interval[1])})" if len(interval) == 2 else ""  # noqa: PLR2004
    metric = plain(facts.text("metric", "error"), 20).upper()
    reasons = _reasons(facts, whole=whole)
    values = [
        f"*{metric}:* {facts.number('value')}, limit {facts.number('limit')}{between}",
        *_baselines(facts, digits=2),
    ]
    return [
        *section("\n".join([_severity(facts), *reasons])),
        *section("\n".join(values if whole or not reasons else [])),
        *section(" ".join(part for part in (plain(facts.text("history"), 300), _confidence(facts)) if part)),
    ]


def _baselines(facts: Facts, digits: int) -> list[str]:
    baselines = list(facts.part("baselines").all.items())[:_BASELINES]
    return [f"*Baseline {plain(name, 40)}:* {number(value, digits)}" for name, value in baselines]


def _promotion(trouble: Trouble) -> Blocks:
    facts = trouble.facts
    metric = facts.text("metric")
    lines = [
        plain(facts.text("reason", "Why is not known."), 300),
        f"*Champion:* {_model(facts.part('champion'), metric)}",
        f"*Challenger:* {_model(facts.part('challenger'), metric)}",
        *_baselines(facts, digits=3),
    ]
    return section("\n".join(lines))


def _model(model: Facts, metric: str) -> str:
    if not model.all:
        return "not known, or none yet"
    told = f"version {plain(model.text('version', UNKNOWN), 20)}"
    if model.has("partition"):
        told += f" of {plain(model.text('partition'), 20)}"
    age, measured = model.all.get("age_days"), model.all.get(metric, model.all.get("value"))
    if isinstance(age, int | float):
        told += f", {number(age, 0)} day{'s' * (age != 1)} old"
    return told + (f", {plain(metric or 'metric', 20)} {number(measured, 3)}" if measured is not None else "")


def _silence(trouble: Trouble) -> Blocks:
    facts = trouble.facts
    health = list(facts.part("health").all.items())[:_COMPONENTS]
    expected = f"Expected by {shown(facts.text('expected_at'))}." if facts.has("expected_at") else ""
    lines = [wording.cause(trouble), expected, plain(facts.text("what"), 400)]
    lines += [f"• *{plain(name.replace('_', ' '), 40)}:* {_health(value)}" for name, value in health]
    return section("\n".join(line for line in [*lines, "" if health else "Airflow's health: unknown."] if line))


def _health(value: object) -> str:
    """A component's state as the watch says it, moments made readable."""
    if isinstance(value, dict):
        one = Facts(value)
        age = f", {number(one.all['age'], 0)} s old" if isinstance(one.all.get("age"), int | float) else ""
        return plain(one.text("status", UNKNOWN), 40) + age
    return plain(_MOMENT.sub(lambda found: shown(found[0]), str(value or UNKNOWN)), 160)


def _backfill(trouble: Trouble) -> Blocks:
    facts = trouble.facts
    if not facts.has("total"):
        return section("Which backfill they belong to is not known: Airflow does not say.")
    counts = [f"{facts.number(name)} {name}" for name in ("done", "running", "failed")]
    release = f" · Release {code(facts.text('release'), 40)}" if facts.has("release") else ""
    return section(f"{facts.number('total')} days: {', '.join(counts)}{release}")


_BY_KIND: Mapping[Kind, Callable[[Trouble], Blocks]] = {
    Kind.DATA_LATE: _late,
    Kind.PROMOTION_REFUSED: _promotion,
    Kind.PIPELINE_SILENT: _silence,
    Kind.BACKFILL: _backfill,
}
