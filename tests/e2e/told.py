"""What Slack shows of one pipeline."""

from __future__ import annotations

from typing import Any

from running_stack import Live


def incidents(live: Live, pipeline: str, kind: str = "") -> list[dict[str, Any]]:
    """The top-level messages about a pipeline, the oldest first."""
    found = [m for m in live.messages() if _about(m).startswith(f"{pipeline}/{kind}") and not _is_reply(m)]
    return sorted(found, key=lambda message: float(message["ts"]))


def thread(live: Live, message: dict[str, Any]) -> list[dict[str, Any]]:
    """The replies to a message, the oldest first."""
    found = [m for m in live.messages() if m.get("thread_ts") == message["ts"] and _is_reply(m)]
    return sorted(found, key=lambda reply: float(reply["ts"]))


def _about(message: dict[str, Any]) -> str:
    return str(message.get("metadata", {}).get("event_payload", {}).get("id", ""))


def _is_reply(message: dict[str, Any]) -> bool:
    return bool(message.get("thread_ts", message["ts"]) != message["ts"])
