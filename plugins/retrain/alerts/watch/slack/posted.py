"""How a message of ours is identified in Slack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_EVENT = "retrain_incident"


@dataclass(frozen=True)
class MessageLabel:
    """The label in a message's metadata: the incident's id, and the entry's id if the message is a reply in the thread.

    It finds a message again whose `ts` is not known because Slack's answer was lost.
    """

    id: str
    entry: str = ""

    @property
    def metadata(self) -> dict[str, Any]:
        return {"event_type": _EVENT, "event_payload": {"id": self.id, "entry": self.entry}}

    def is_on(self, message: Mapping[str, Any]) -> bool:
        """True if a message, as Slack's API describes it, carries this label."""
        found = message.get("metadata") or {}
        return {"event_type": found.get("event_type"), "event_payload": found.get("event_payload")} == self.metadata


@dataclass(frozen=True)
class PostedMessage:
    """A message in Slack: the channel's id, and the message's time, which Slack uses as its id."""

    channel: str
    ts: str
