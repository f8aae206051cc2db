"""The messages that people get. Pure: built here, sent by `retrain.slack`.

Line 1 fits a lock screen, line 2 is the impact, then values with their limits, then the next action, then links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from retrain.drift import DriftVerdict
from retrain.errors import Cause

_TEXT_LIMIT = 3000  # characters in a section, Slack's limit
_FIELD_LIMIT = 2000
_FIELDS = 10


@dataclass(frozen=True)
class Message:
    """`text` is what a lock screen shows; `blocks` is what the channel shows, in Slack's Block Kit."""

    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Link:
    """A link with its label."""

    label: str
    url: str


def escape(text: str) -> str:
    """What came from outside, so that it can neither ping anybody nor pose as a link.

    Source: https://api.slack.com/reference/surfaces/formatting#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def drift_detected(pipeline: str, verdict: DriftVerdict, impact: str, links: Sequence[Link]) -> Message:
    """A day is far from its reference, in enough that matters, for long enough."""
    moved = verdict.features
    headline = f"{len(moved)} features drifted on {verdict.partition} - {pipeline}"
    fields = [f"*{escape(f.name)}* ({escape(f.kind)})\nPSI {f.value:.2f} (limit {f.limit:.2f})" for f in moved]
    said = escape(" ".join([*verdict.reasons, verdict.confidence_reason]))
    action = "Look at the picture in MLflow first. If the world has changed, nothing is to be done: the model retrains daily. If the data is wrong, tell its owner."
    return _message(headline, f"{impact} {said}", fields, action, links)


def task_failed(
    pipeline: str, partition: str, task: str, tries: int, cause: Cause, evidence: str, links: Sequence[Link]
) -> Message:
    """A task failed and will not be retried."""
    headline = f"{task} failed for {partition} - {pipeline}"
    fields = [f"*Cause*\n{cause}", f"*Tries*\n{tries}", f"*Partition*\n{escape(partition)}", f"*Task*\n{escape(task)}"]
    impact = "This day has no new model. What is live stays live, and nothing recorded is lost."
    action = (
        f"Mend what the line above names, then clear {task} in the Airflow UI: finished work comes back from the cache."
    )
    return _message(headline, f"{impact}\n>{escape(evidence)}", fields, action, links)


def _message(headline: str, impact: str, fields: Sequence[str], action: str, links: Sequence[Link]) -> Message:
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": _mrkdwn(f"*{escape(headline)}*", _TEXT_LIMIT)},
        {"type": "section", "text": _mrkdwn(impact, _TEXT_LIMIT)},
    ]
    if fields:
        blocks.append({"type": "section", "fields": [_mrkdwn(f, _FIELD_LIMIT) for f in fields[:_FIELDS]]})
    blocks.append({"type": "section", "text": _mrkdwn(f"*Next:* {escape(action)}", _TEXT_LIMIT)})
    if links:
        text = "  ·  ".join(f"<{link.url}|{escape(link.label)}>" for link in links)
        blocks.append({"type": "context", "elements": [_mrkdwn(text, _TEXT_LIMIT)]})
    return Message(headline, blocks)


def _mrkdwn(text: str, limit: int) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text if len(text) <= limit else f"{text[: limit - 1]}…"}
