"""Keeps what Slack shows equal to the incidents.

`plan` says what is missing, from what Slack should hold and what it was told; `Delivery` does it, in order, and stops at the
first thing that Slack does not take now. Nothing is queued: whatever is missing after an hour without Slack is planned again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from retrain.alerts.message.plain_text import Content, without_blocks
from retrain.alerts.watch.book import InSlack, Marks
from retrain.alerts.watch.slack.client import Mark, Posted, Slack
from retrain.errors import (
    SlackBusyError,
    SlackChannelError,
    SlackContentError,
    SlackError,
    SlackTokenError,
)

log = logging.getLogger(__name__)

_TOP = ""  # the item of a thread's first message; all others are named by entry or picture
_CLOCKS_DIFFER_BY = 600  # seconds, between here and Slack
_LONGEST_PAUSE = 60.0
_ALL = "Slack"  # where it is not one channel that takes nothing


@dataclass(frozen=True)
class Reply:
    """A reply: an entry's id and moment, what it says, its pictures as (file name, what it shows)."""

    id: str
    at: str
    message: Content
    loud: bool = False
    pictures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Thread:
    """What Slack should hold of an incident, or of a digest. `at` is when it began, `changed_at` when `top` last changed.

    A `silenced` one is not begun, and gets no replies; what it says is still brought up to date. An `over` one ends: once
    told, or silenced to its end, it is never looked at again.
    """

    id: str
    channel: str
    at: str
    changed_at: str
    top: Content
    lines: tuple[Reply, ...] = ()
    silenced: bool = False
    over: bool = False


class Do(StrEnum):
    POST = "post"
    UPDATE = "update"
    REPLY = "reply"
    PICTURE = "picture"


@dataclass(frozen=True)
class Action:
    """One request to Slack. `item` names it within its thread: an entry's id, a picture's file name, or nothing for the top."""

    do: Do
    thread: Thread
    at: str
    item: str = _TOP
    line: Reply | None = None
    title: str = ""


def fingerprint(message: Content) -> str:
    """The same for messages that look the same."""
    shown = json.dumps([message.text, list(message.blocks)], sort_keys=True, default=str)
    return hashlib.sha256(shown.encode()).hexdigest()[:24]


def plan(threads: Iterable[Thread], told: Callable[[str], InSlack]) -> list[Action]:
    """What Slack lacks, in the order of its happening; within a thread, the top message first."""
    actions = [action for thread in threads for action in _lacking(thread, told(thread.id))]
    return sorted(actions, key=lambda action: action.at)


def _lacking(thread: Thread, told: InSlack) -> list[Action]:
    if told.over or (thread.silenced and not told.ts):
        return []
    actions: list[Action] = []
    at = thread.at
    if not told.ts:
        actions.append(Action(Do.POST, thread, at))
    elif told.digest != fingerprint(thread.top):
        at = thread.changed_at
        actions.append(Action(Do.UPDATE, thread, at))
    for line in () if thread.silenced else thread.lines:
        at = max(at, line.at)
        if line.id not in told.replies:
            actions.append(Action(Do.REPLY, thread, at, line.id, line))
        actions += [
            Action(Do.PICTURE, thread, at, name, line, title)
            for name, title in line.pictures
            if name not in told.pictures
        ]
    return actions


@dataclass(frozen=True)
class Pause:
    """What Slack, or one channel, does not take now, and when it is asked again (seconds of the monotonic clock)."""

    trouble: str
    until: float
    failures: int = 1


@dataclass
class Delivery:
    """Carries plans out. One thread's own."""

    slack: Slack
    marks: Marks[InSlack]
    picture: Callable[[str], Path]
    patience: float = 5.0  # seconds before what failed is asked again; doubled with each failure, to a minute
    pauses: dict[str, Pause] = field(default_factory=dict)

    def run(self, threads: Iterable[Thread]) -> int:
        """Tell Slack what it lacks; gives the number of requests that it took. What it does not take now is in `pauses`."""
        asked = list(threads)
        done, failed = 0, set[str]()
        actions = plan(asked, self.marks.of)
        for action in actions:
            channel = self.marks.of(action.thread.id).channel or action.thread.channel
            if self._pausing(_ALL):
                break
            if self._pausing(channel):
                continue
            try:
                self._carry_out(channel, action)
                done += 1
            except SlackChannelError as error:
                self._move(action)
                failed.add(self._pause(channel, error))
            except SlackError as error:
                failed.add(self._pause(_ALL, error))
        self.pauses = {name: pause for name, pause in self.pauses.items() if name in failed or self._pausing(name)}
        self._finish(asked)
        return done

    def _pausing(self, name: str) -> bool:
        return name in self.pauses and time.monotonic() < self.pauses[name].until

    def _pause(self, name: str, error: SlackError) -> str:
        log.warning("%s waits: %s", name, error)
        failures = self.pauses[name].failures + 1 if name in self.pauses else 1
        pause = min(self.patience * 2 ** (failures - 1), _LONGEST_PAUSE)
        seconds = error.seconds if isinstance(error, SlackBusyError) else pause
        self.pauses[name] = Pause(str(error), time.monotonic() + seconds, failures)
        return name

    def _move(self, action: Action) -> None:
        """Begin anew in the channel that the pipeline's file names now, if another one was left behind and closed."""
        told = self.marks.of(action.thread.id)
        if told.ts and told.named != action.thread.channel:
            self.marks.save(InSlack(told.id))

    def _carry_out(self, channel: str, action: Action) -> None:
        told = self.marks.of(action.thread.id)
        if told.over:
            return  # its top message was given up a moment ago
        if action.do is Do.UPDATE:
            self._taken(action, lambda content: self._update(action, content), action.thread.top)
        elif action.do is Do.PICTURE:
            self._once(action, told, lambda: self._upload(action, told))
        else:
            self._once(action, told, lambda: self._send(channel, action, told))

    def _once(self, action: Action, told: InSlack, send: Callable[[], None]) -> None:
        """Send what must not be there twice: noted down before, and looked for when an earlier answer was lost."""
        since = told.tried.get(action.item)
        if since is not None and self._adopt(action, told, since):
            log.info("Slack had taken %s of %s: its answer had been lost", action.do, action.thread.id)
            return
        self.marks.save(replace(told, tried={**told.tried, action.item: since or time.time()}))
        try:
            send()
        except (SlackBusyError, SlackTokenError, SlackChannelError):
            self.marks.save(told)  # it took nothing, that is certain
            raise

    def _adopt(self, action: Action, told: InSlack, since: float) -> bool:
        """Whether Slack holds it already; then it is ours."""
        since -= _CLOCKS_DIFFER_BY
        if action.do is Do.POST:
            found = self.slack.find(told.channel or action.thread.channel, Mark(action.thread.id), since)
            if found is not None:
                # It may have said something older.
                self._note(action, channel=found.channel, named=action.thread.channel, ts=found.ts, digest="")
            return found is not None
        place = Posted(told.channel, told.ts)
        if action.do is Do.REPLY:
            ts = self.slack.find_reply(place, Mark(action.thread.id, action.item))
            if ts is not None:
                self._note(action, replies={**told.replies, action.item: ts})
            return ts is not None
        there = self.slack.has_picture(place, action.item)
        if there:
            self._note(action, pictures=[*told.pictures, action.item])
        return there

    def _send(self, channel: str, action: Action, told: InSlack) -> None:
        thread, line = action.thread, action.line
        mark = Mark(thread.id, action.item)
        if line is None:
            posted = self._taken(action, lambda content: self.slack.post(channel, content, mark), thread.top)
            # What it refuses even as plain text is given up, and shown on the health page.
            where = posted or Posted(channel, "")
            digest = fingerprint(thread.top)
            self._note(
                action,
                channel=where.channel,
                named=thread.channel,
                ts=where.ts,
                digest=digest,
                over=posted is None,
            )
            return
        reply = self._taken(
            action,
            lambda content: self.slack.post(told.channel, content, mark, thread=told.ts, loud=line.loud),
            line.message,
        )
        self._note(action, replies={**told.replies, action.item: reply.ts if reply else ""})

    def _update(self, action: Action, content: Content) -> Posted:
        told = self.marks.of(action.thread.id)
        place = Posted(told.channel, told.ts)
        self.slack.update(place, content, Mark(action.thread.id))
        self._note(action, digest=fingerprint(action.thread.top))
        return place

    def _upload(self, action: Action, told: InSlack) -> None:
        try:
            content = self.picture(action.item).read_bytes()
            self.slack.upload(Posted(told.channel, told.ts), action.item, content, action.title)
        except FileNotFoundError:
            self._refused(action, "the picture's file is not there")
        except SlackContentError as error:
            self._refused(action, str(error))
        self._note(action, pictures=[*told.pictures, action.item])

    def _taken(self, action: Action, send: Callable[[Content], Posted], message: Content) -> Posted | None:
        """Send a message; in plain text if Slack refuses how it looks, and None if it refuses that too."""
        try:
            return send(message)
        except SlackContentError as error:
            self._refused(action, str(error))
        try:
            return send(without_blocks(message))
        except SlackContentError as error:
            self._refused(action, str(error))
        if action.do is Do.UPDATE:
            self._note(action, digest=fingerprint(message))
        return None

    def _refused(self, action: Action, why: str) -> None:
        log.error("Slack refused %s %s of %s: %s", action.do, action.item, action.thread.id, why)
        told = self.marks.of(action.thread.id)
        self.marks.save(replace(told, refused={**told.refused, action.item: why}))

    def _note(self, action: Action, **told: object) -> None:
        before = self.marks.of(action.thread.id)
        tried = {item: since for item, since in before.tried.items() if item != action.item}
        self.marks.save(replace(before, tried=tried, **told))  # type: ignore[arg-type]

    def _finish(self, threads: Iterable[Thread]) -> None:
        for thread in threads:
            told = self.marks.of(thread.id)
            if thread.over and not told.over and not _lacking(thread, told):
                self.marks.save(replace(told, over=True))
