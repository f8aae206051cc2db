"""The requests that bring Slack from what it holds to what it should hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from retrain.alerts.message.plain_text import Content

TOP = ""  # the `item` of a thread's first message


@dataclass(frozen=True)
class Reply:
    """A reply that a thread should hold. `message` writes its content, when it is sent.

    `id` and `at` (UTC, ISO 8601) are the entry's; a picture is (file name, title).
    """

    id: str
    at: str
    message: Callable[[], Content]
    loud: bool = False
    pictures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SlackThread:
    """What Slack should hold of an incident or a digest: a first message, `top`, and its replies.

    `at` is when it began and `changed_at` when `top` last changed (UTC, ISO 8601). A `silenced` thread is not begun and gets no
    replies; if it exists already, `top` is still updated. An `over` thread is final: once Slack holds it, or if it is silenced,
    it is never planned again.
    """

    id: str
    channel: str
    at: str
    changed_at: str
    top: Content
    replies: tuple[Reply, ...] = ()
    silenced: bool = False
    over: bool = False


@dataclass(frozen=True)
class SlackMark:
    """What Slack holds of one incident or digest. Stored as JSON under these names.

    `ts` is the time of the first message in `channel` (a channel's id; `named` is the channel's name in the pipeline's file) and
    `digest` the fingerprint of its content. `replies` holds the times of the thread's replies by entry id, `pictures` the file
    names of its pictures. `tried` holds the items whose request got no answer, with the time of the first try (seconds since
    1970). `refused` says by item why Slack refuses it. `over`: nothing is left to deliver.
    """

    id: str
    channel: str = ""
    named: str = ""
    ts: str = ""
    digest: str = ""
    replies: dict[str, str] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    tried: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    over: bool = False


class ActionKind(StrEnum):
    POST = "post"
    UPDATE = "update"
    REPLY = "reply"
    PICTURE = "picture"


@dataclass(frozen=True)
class Action:
    """One request to Slack. `item` names its object within the thread: an entry's id, a picture's file name, or `TOP`."""

    kind: ActionKind
    thread: SlackThread
    at: str
    item: str = TOP
    reply: Reply | None = None
    title: str = ""


def fingerprint(message: Content) -> str:
    """Equal for messages that look the same in Slack."""
    shown = json.dumps([message.text, list(message.blocks)], sort_keys=True, default=str)
    return hashlib.sha256(shown.encode()).hexdigest()[:24]


def plan(threads: Iterable[SlackThread], mark_of: Callable[[str], SlackMark]) -> list[Action]:
    """The requests that are missing, in the order in which things happened; within a thread, the first message comes first."""
    actions = [action for thread in threads for action in missing(thread, mark_of(thread.id))]
    return sorted(actions, key=lambda action: action.at)


def missing(thread: SlackThread, mark: SlackMark) -> list[Action]:
    """The requests that one thread lacks."""
    if mark.over or (thread.silenced and not mark.ts):
        return []
    actions: list[Action] = []
    at = thread.at
    if not mark.ts:
        actions.append(Action(ActionKind.POST, thread, at))
    elif mark.digest != fingerprint(thread.top):
        at = thread.changed_at
        actions.append(Action(ActionKind.UPDATE, thread, at))
    for reply in () if thread.silenced else thread.replies:
        at = max(at, reply.at)
        if reply.id not in mark.replies:
            actions.append(Action(ActionKind.REPLY, thread, at, reply.id, reply))
        actions += [
            Action(ActionKind.PICTURE, thread, at, name, reply, title)
            for name, title in reply.pictures
            if name not in mark.pictures
        ]
    return actions
