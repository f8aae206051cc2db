"""The scopes that the Slack app needs: those of the methods that the client calls, and no others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MethodScopes:
    """The scopes of one method: those that it always needs, and those that it needs for a public or for a private channel."""

    always: tuple[str, ...] = ()
    public: str = ""
    private: str = ""


# By https://docs.slack.dev/reference/methods. A method that the client calls and that is not here fails a test.
SCOPES: Mapping[str, MethodScopes] = {
    "auth.test": MethodScopes(),
    "chat.postMessage": MethodScopes(("chat:write",)),
    "chat.update": MethodScopes(("chat:write",)),
    "conversations.history": MethodScopes(public="channels:history", private="groups:history"),
    "conversations.info": MethodScopes(public="channels:read", private="groups:read"),
    # The client lists both types in one call, which Slack refuses as a whole if one of the scopes is missing.
    "conversations.list": MethodScopes(("channels:read", "groups:read")),
    "conversations.replies": MethodScopes(public="channels:history", private="groups:history"),
    "files.completeUploadExternal": MethodScopes(("files:write",)),
    "files.getUploadURLExternal": MethodScopes(("files:write",)),
}
# Of the webhook that Alertmanager posts to, if it belongs to the same app.
_OF_THE_WEBHOOK = frozenset({"incoming-webhook"})


@dataclass(frozen=True)
class ScopeDifference:
    """The scopes that the token lacks, and those that it has and nothing uses."""

    missing: tuple[str, ...]
    unused: tuple[str, ...]


def needed(private: Collection[bool]) -> frozenset[str]:
    """The scopes for channels of which each is private (True) or public (False)."""
    of_channels = {method.private if each else method.public for method in SCOPES.values() for each in private}
    return frozenset(scope for method in SCOPES.values() for scope in method.always) | (of_channels - {""})


def difference(has: Collection[str], private: Collection[bool]) -> ScopeDifference:
    """Compare a token's scopes with those that channels need. The scope for histories of a type without a channel is not unused."""
    wanted = needed(private)
    ever = needed((True, False)) | _OF_THE_WEBHOOK
    return ScopeDifference(tuple(sorted(wanted - set(has))), tuple(sorted(set(has) - ever)))


def granted(headers: Mapping[str, Any]) -> frozenset[str] | None:
    """The token's scopes, as Slack names them in the headers of its answers; None if it does not."""
    found = next((str(value) for name, value in headers.items() if name.lower() == "x-oauth-scopes"), None)
    return None if found is None else frozenset(filter(None, (each.strip() for each in found.split(","))))
