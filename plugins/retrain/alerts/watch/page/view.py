"""The facts that the page shows, as plain values: the sections turn them into HTML and ask nothing else.

Moments are UTC, ISO 8601. Texts are data, never HTML, except where a field says that it is Slack's mrkdwn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from retrain.alerts.kinds import Kind
from retrain.alerts.message.plain_text import Content


class Tone(StrEnum):
    """How urgent something looks. Its words always stand beside its colour."""

    BAD = "bad"
    LOOK = "look"
    CALM = "calm"
    GOOD = "good"


@dataclass(frozen=True)
class Whereabouts:
    """Where an incident's message is.

    `slack_since` is when Slack took it, None if Slack does not hold it: `slack_lacks` then says why. `slack_url` is its address,
    empty while it is not known. `second_took` of `second_of` addresses of the second channel have got it.
    """

    slack_since: str | None
    slack_url: str = ""
    slack_lacks: str = ""
    second_took: int = 0
    second_of: int = 0


@dataclass(frozen=True)
class IncidentLine:
    """An incident in one line. `title` is text; `key` names its page; `ended` is a mrkdwn sentence without its full stop, empty while it is open."""

    key: str
    title: str
    kind: Kind
    pipeline: str
    timezone: str
    opened_at: str
    resolved_at: str | None
    whereabouts: Whereabouts
    ended: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenIncident:
    """An open incident. `urgency` and `cause` are short texts.

    `impact`, `standing` and `next_action` are mrkdwn; `links` are mrkdwn links; `evidence` and `missing` are Slack's blocks.
    `silenced` says until when it is silenced and why, and is empty if it is not.
    """

    line: IncidentLine
    tone: Tone
    urgency: str
    cause: str
    impact: str
    standing: str
    next_action: str
    evidence: Content
    missing: Content
    links: str
    silenced: str = ""


@dataclass(frozen=True)
class SilenceLine:
    """A silence of the file. `state` says whether it is in force; `covers` counts the open incidents that it mutes now."""

    pipeline: str
    kind: Kind
    subject: str | None
    reason: str
    issue: str
    since: str
    expires: str
    in_force: bool
    state: str
    covers: int = 0


@dataclass(frozen=True)
class ChannelLine:
    """A channel, or an address of the second one.

    `held` counts the messages of the last 90 days that it holds, None where that is not known. `last` is when it last took one.
    `delivered`, `refused` and `failed` count since the watch started. `trouble` says why it takes nothing now; `asked` is False
    while that is not known, because the watch has just started.
    """

    name: str
    held: int | None
    last: str | None
    delivered: int
    refused: int
    failed: int
    trouble: str = ""
    asked: bool = True


@dataclass(frozen=True)
class PartLine:
    """A part of the watch. `seconds_ago` is the age of the end of its last turn, None before the first."""

    name: str
    turns: int
    seconds_ago: float | None
    every: float
    trouble: str


@dataclass(frozen=True)
class SignalsWaiting:
    """The signals in the outbox that are not folded yet."""

    count: int
    oldest_seconds: float


@dataclass(frozen=True)
class Overview:
    """Everything that the page for people shows. `problems` and `attention`: see WatchHealth. `ended` are the newest of `ended_count`."""

    now: datetime
    problems: Mapping[str, str]
    attention: Mapping[str, str]
    open: Sequence[OpenIncident]
    ended: Sequence[IncidentLine]
    ended_count: int
    silences: Sequence[SilenceLine]
    invalid_silences: Sequence[str]
    channels: Sequence[ChannelLine]
    second: Sequence[ChannelLine]
    waiting: SignalsWaiting
    parts: Sequence[PartLine]

    @property
    def delivers(self) -> bool:
        """True if messages can be delivered now."""
        return not self.problems

    @property
    def last_delivery(self) -> ChannelLine | None:
        """The channel that took a message last; None if none ever did."""
        took = [channel for channel in (*self.channels, *self.second) if channel.last]
        return max(took, key=lambda channel: channel.last or "", default=None)


@dataclass(frozen=True)
class ThreadEntry:
    """A line of an incident's thread. `pictures` are (file name, caption); `in_slack` is when Slack took it, None if it did not."""

    at: str
    message: Content
    pictures: Sequence[tuple[str, str]]
    in_slack: str | None


@dataclass(frozen=True)
class IncidentThread:
    """An incident with its whole thread, oldest entry first. `message` is what the channel shows now."""

    now: datetime
    line: IncidentLine
    message: Content
    entries: Sequence[ThreadEntry]
    silenced: str = ""
