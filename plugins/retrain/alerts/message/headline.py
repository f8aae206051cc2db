"""The first line of a message: event, day, pipeline."""

from __future__ import annotations

from retrain.alerts.facts import (
    BackfillFacts,
    ChampionFacts,
    DriftFacts,
    FeatureFacts,
    PerformanceFacts,
    ReleaseFacts,
)
from retrain.alerts.kinds import Kind
from retrain.alerts.message.amounts import UNKNOWN, amount
from retrain.alerts.message.mrkdwn import plain
from retrain.alerts.message.trouble import Trouble

_OF_KIND = {
    Kind.DATA_LATE: "{day} has not landed",
    Kind.DATA_REJECTED: "Data of {day} refused",
    Kind.TASK_FAILED: "{task} failed for {day}",
    Kind.PUSH_UNPROVEN: "{day} is not proven stored",
    Kind.RELEASE_REFUSED: "{release} refused for {day}",
    Kind.PROMOTION_REFUSED: "No new champion on {day}",
    Kind.PIPELINE_SILENT: "No run recorded for {day}",
}


def headline(trouble: Trouble, *, of_pipeline: bool = True) -> str:
    """About 60 characters, so that a lock screen shows it whole. `of_pipeline`: name the pipeline too."""
    days = f" ({trouble.days} days)" if trouble.days > 1 and trouble.kind is not Kind.BACKFILL else ""
    pipeline = "all pipelines" if trouble.airflow_itself else plain(trouble.key.pipeline, 24)
    return f"{_happened(trouble)}{days}" + (f" · {pipeline}" if of_pipeline else "")


def _happened(trouble: Trouble) -> str:
    match trouble.facts:
        case DriftFacts() as facts:
            said = _drifted(facts, trouble.day)
        case PerformanceFacts() as facts:
            metric = plain(facts.metric or "error", 12).upper()
            said = f"{metric} {amount(facts.value)} on {trouble.day}, limit {amount(facts.limit)}"
        case BackfillFacts() as facts:
            said = _progress(facts)
        case ChampionFacts() as facts:
            said = f"Version {plain(facts.version or UNKNOWN, 12)} is champion"
        case ReleaseFacts() as facts:
            said = f"{plain(facts.tag or 'a release', 18)} is live"
        case _ if trouble.airflow_itself:
            said = "Airflow is unhealthy"
        case _ if trouble.of_housekeeping:
            said = f"{plain(trouble.task_id or 'a task', 26)} failed"
        case _:
            subject = trouble.key.subject
            task = plain(trouble.task_id or subject or "a task", 24)
            release = plain((trouble.failure and trouble.failure.release) or subject or "Release", 18)
            said = _OF_KIND[trouble.kind].format(day=trouble.day, task=task, release=release)
    return said


def _drifted(facts: DriftFacts, day: str) -> str:
    count = sum(_over_its_limit(feature) for feature in facts.features)
    return f"{count} feature{'s' * (count != 1)} drifted on {day}" if count else f"Drift on {day}"


def _over_its_limit(feature: FeatureFacts) -> bool:
    return feature.value is None or feature.limit is None or feature.value > feature.limit


def _progress(facts: BackfillFacts) -> str:
    if facts.total is None:
        return "Runs of a backfill failed"
    failed = f", {amount(facts.failed)} failed" if facts.failed else ""
    return f"Backfill {_period(facts)}: {amount(facts.done)} of {amount(facts.total)}{failed}"


def _period(facts: BackfillFacts) -> str:
    first, last = facts.first_day or UNKNOWN, facts.last_day or UNKNOWN
    return f"{plain(first, 12)} to {plain(last.removeprefix(first[:5]) if first[:4] == last[:4] else last, 12)}"
