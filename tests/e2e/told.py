"""What Slack shows of one pipeline."""

from __future__ import annotations

from typing import Any

from running_stack import Live


def incidents(live: Live, pipeline: str, kind: str = "") -> list[dict[str, Any]]:
    """The top-level messages about a pipeline, the oldest first."""
    found = [message for message in live.messages() if _about(message).startswith(f"{pipeline}/{kind}")]
    return sorted(found, key=lambda message: float(message["ts"]))


def thread(live: Live, message: dict[str, Any]) -> list[dict[str, Any]]:
    """The replies to a message, the oldest first."""
    (now,) = (found for found in live.messages() if found["ts"] == message["ts"])
    return sorted(now["replies"], key=lambda reply: float(reply["ts"]))


def _about(message: dict[str, Any]) -> str:
    return str(message.get("metadata", {}).get("event_payload", {}).get("id", ""))
