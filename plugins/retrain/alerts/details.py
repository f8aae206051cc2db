"""What was found, by kind: the evidence, and values beside their limits. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from retrain.alerts import wording
from retrain.alerts.clock import shown
from retrain.alerts.facts import UNKNOWN, Facts, number
from retrain.alerts.kinds import Kind
from retrain.alerts.mrkdwn import block, code, fields, plain, section
from retrain.alerts.wording import Trouble

_FEATURES = 4
_FEATURES_IN_THREAD = 20
_REASONS = 3
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
    severity = facts.text("severity", UNKNOWN)
    features = facts.parts("features")
    most = _FEATURES_IN_THREAD if whole else _FEATURES
    reasons = facts.texts("reasons")
    rows = facts.part("rows")
    lines = [f"*Severity: {plain(severity, 20)}*{_days_open(facts)}"]
    lines += [f"• {plain(reason, 200)}" for reason in (reasons if whole else reasons[:_REASONS])[:10]]
    small = []
    if rows.all:
        small.append(f"{rows.number('current')} rows that day, {rows.number('reference')} in its reference.")
    if facts.has("confidence"):
        small.append(plain(facts.text("confidence"), 200))
    more = [f"More features in the thread: {len(features) - most}."] if len(features) > most and not whole else []
    return [
        *section("\n".join(lines)),
        *fields([_feature(f) for f in features[:most]]),
        *section(" ".join([*small, *more])),
    ]


def _days_open(facts: Facts) -> str:
    days, since = facts.all.get("days_open"), facts.text("since")
    told = f" · {days} days" if isinstance(days, int) and not isinstance(days, bool) and days > 1 else ""
    return told + (f" · since {plain(since, 20)}" if since and told else "")


def _feature(feature: Facts) -> str:
    measure = plain(feature.text("measure", "psi"), 12).upper()
    kind = f" ({plain(feature.text('kind'), 12)})" if feature.has("kind") else ""
    return (
        f"*{plain(feature.text('name', UNKNOWN), 60)}*{kind}\n"
        f"{measure} {feature.number('value')} (limit {feature.number('limit')})"
    )


def _performance(trouble: Trouble) -> Blocks:
    facts = trouble.facts
    metric = plain(facts.text("metric", "error"), 20).upper()
    interval = facts.numbers("interval")
    between = f"\ninterval {number(interval[0])} to {number(interval[1])}" if len(interval) == 2 else ""  # noqa: PLR2004
    shown_fields = [
        f"*{metric}*\n{facts.number('value')} (limit {facts.number('limit')}){between}",
        *_baselines(facts, digits=2),
    ]
    lines = [f"*Severity: {plain(facts.text('severity', UNKNOWN), 20)}*"]
    if facts.has("history"):
        lines.append(plain(facts.text("history"), 300))
    return [*section("\n".join(lines)), *fields(shown_fields)]


def _baselines(facts: Facts, digits: int) -> list[str]:
    baselines = facts.part("baselines").all
    return [f"*Baseline {plain(name, 40)}*\n{number(value, digits)}" for name, value in list(baselines.items())[:4]]


def _promotion(trouble: Trouble) -> Blocks:
    facts = trouble.facts
    champion, challenger = facts.part("champion"), facts.part("challenger")
    metric = facts.text("metric")
    named = plain(metric or "metric", 20)
    age = champion.all.get("age_days")
    old = f", {number(age, 0)} day{'s' * (age != 1)} old" if isinstance(age, int | float) else ""
    measured = challenger.all.get(metric, challenger.all.get("value"))
    rival = champion.all.get(metric, champion.all.get("value"))
    pair = [
        f"*Champion: version {plain(champion.text('version', UNKNOWN), 20)}*\n"
        f"of {plain(champion.text('partition', UNKNOWN), 20)}{old}"
        + (f", {named} {number(rival, 3)}" if rival else ""),
        f"*Challenger: version {plain(challenger.text('version', UNKNOWN), 20)}*\n{named} {number(measured, 3)}",
    ]
    return [
        *section(plain(facts.text("reason", "Why is not known."), 300)),
        *fields([*pair, *_baselines(facts, digits=3)]),
    ]


def _silence(trouble: Trouble) -> Blocks:
    facts = trouble.facts
    health = facts.part("health").all
    expected = f"Expected by {shown(facts.text('expected_at'))}." if facts.has("expected_at") else ""
    lines = [wording.cause(trouble), expected, plain(facts.text("what"), 400)]
    seen = [
        f"*{plain(name.replace('_', ' '), 40)}*\n{_health(value)}" for name, value in list(health.items())[:_COMPONENTS]
    ]
    return [
        *section("\n".join(line for line in lines if line)),
        *(fields(seen) or section("Airflow's health: unknown.")),
    ]


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
    Kind.PERFORMANCE_DROPPED: _performance,
    Kind.PROMOTION_REFUSED: _promotion,
    Kind.PIPELINE_SILENT: _silence,
    Kind.BACKFILL: _backfill,
}
