"""All channels of the workspace as JSON, for tools and tests."""

from __future__ import annotations

from typing import Any

from slack_standin.mrkdwn import pings, to_plain
from slack_standin.store import SlackStore, is_reply


def channels_with_messages(store: SlackStore) -> list[dict[str, Any]]:
    """Each channel with its messages, oldest first, replies under their roots.

    A message also has `notification` (its plain text), `pings`, and `versions` (as posted, after each update).
    """
    channels = []
    for identifier, name, _created, state in store.channels():
        messages, versions = store.messages(identifier), store.versions(identifier)
        shown = [
            message
            | {
                "notification": to_plain(message.get("text", "")),
                "pings": pings(message),
                "versions": versions.get(message["ts"], []),
            }
            for message in messages
        ]
        roots = [
            message | {"replies": [m for m in shown if is_reply(m) and m["thread_ts"] == message["ts"]]}
            for message in shown
            if not is_reply(message)
        ]
        channels.append({"id": identifier, "name": name, "state": state, "messages": roots})
    return channels
