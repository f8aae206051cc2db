"""The scopes of the app's token: which each method needs, as https://docs.slack.dev/reference/methods names them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from slack_standin.rules import RefusedCallError

# What the watch uses, so that a stand-in that is told nothing grants exactly that.
GRANTED = ("channels:history", "channels:read", "chat:write", "files:write", "groups:history", "groups:read")
_OF_METHOD = {
    "chat.delete": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",  # all channels of the stand-in are public
    "conversations.info": "channels:read",
    "conversations.replies": "channels:history",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "files.info": "files:read",
    "reactions.add": "reactions:write",
}
_OF_TYPE = {
    "public_channel": "channels:read",
    "private_channel": "groups:read",
    "mpim": "mpim:read",
    "im": "im:read",
}


class MissingScopeError(RefusedCallError):
    """The token lacks a scope that the call needs; `answer` is the rest of Slack's answer."""

    def __init__(self, needed: str, granted: Collection[str]) -> None:
        super().__init__("missing_scope")
        self.answer = {"needed": needed, "provided": ",".join(granted)}


def needed(method: str, arguments: Mapping[str, Any]) -> list[str]:
    """The scopes that a call needs. A listing needs those of every type of channel that it asks for."""
    if method == "conversations.list":
        types = str(arguments.get("types") or "public_channel").split(",")
        return [_OF_TYPE[each.strip()] for each in types if each.strip() in _OF_TYPE]
    return [_OF_METHOD[method]] if method in _OF_METHOD else []


def check_scopes(method: str, arguments: Mapping[str, Any], granted: Collection[str]) -> None:
    """Refuse a call that needs a scope which the token does not have.

    Raises:
        MissingScopeError: one is missing.
    """
    for scope in needed(method, arguments):
        if scope not in granted:
            raise MissingScopeError(scope, granted)
