"""Executes plans against Slack.

Nothing is queued: what Slack did not take is missing at the next turn, and is planned again. A request whose answer was lost is
not simply repeated: the message may be there, and is looked for by its label first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from retrain.alerts.errors import SlackBusyError, SlackChannelError, SlackContentError, SlackError, SlackTokenError
from retrain.alerts.message.plain_text import Content, without_blocks
from retrain.alerts.watch.marks import Marks
from retrain.alerts.watch.pause import Pause, pause_after
from retrain.alerts.watch.slack.client import SlackClient
from retrain.alerts.watch.slack.plan import Action, ActionKind, SlackMark, SlackThread, fingerprint, missing, plan
from retrain.alerts.watch.slack.posted import MessageLabel, PostedMessage
from retrain.alerts.watch.tally import Tally

log = logging.getLogger(__name__)

_CLOCKS_DIFFER_BY = 600  # seconds, between this machine and Slack
_LONGEST_PAUSE = 60.0
WORKSPACE = "Slack"  # the pause of the whole workspace; other pauses are named by their channel


@dataclass
class Delivery:
    """Executes plans against Slack. Not thread-safe: used by the part `slack` only."""

    slack: SlackClient
    marks: Marks[SlackMark]
    picture: Callable[[str], Path]
    patience: float = 5.0  # seconds before a failed request is repeated; doubled with each failure, up to a minute
    pauses: dict[str, Pause] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)  # by the channel's name in the pipeline's file

    def run(self, threads: Iterable[SlackThread]) -> int:
        """Send what Slack lacks of these threads. Returns the number of requests that it took; `pauses` says why others wait."""
        wanted = list(threads)
        done, failed = 0, set[str]()
        for action in plan(wanted, self.marks.of):
            channel = self.marks.of(action.thread.id).channel or action.thread.channel
            if self._is_pausing(WORKSPACE):
                break
            if self._is_pausing(channel):
                continue
            try:
                self._execute(channel, action)
                done += 1
            except SlackChannelError as error:
                self._move(action)
                self.tally.failed[action.thread.channel] += 1
                failed.add(self._pause(channel, error))
            except SlackError as error:
                self.tally.failed[action.thread.channel] += 1
                failed.add(self._pause(WORKSPACE, error))
        self.pauses = {name: pause for name, pause in self.pauses.items() if name in failed or not pause.over}
        for thread in wanted:
            mark = self.marks.of(thread.id)
            if thread.over and not mark.over and not missing(thread, mark):
                self.marks.save(replace(mark, over=True))
        return done

    def _is_pausing(self, name: str) -> bool:
        return name in self.pauses and not self.pauses[name].over

    def _pause(self, name: str, error: SlackError) -> str:
        log.warning("No requests to %s for a while: %s", name, error)
        pause = pause_after(self.pauses.get(name), str(error), first=self.patience, longest=_LONGEST_PAUSE)
        if isinstance(error, SlackBusyError):
            pause = replace(pause, until=time.monotonic() + error.seconds)
        self.pauses[name] = pause
        return name

    def _move(self, action: Action) -> None:
        """Start again in the channel that the pipeline's file names now, if Slack refuses the channel of before."""
        mark = self.marks.of(action.thread.id)
        if mark.ts and mark.named != action.thread.channel:
            self.marks.save(SlackMark(mark.id))

    def _execute(self, channel: str, action: Action) -> None:
        mark = self.marks.of(action.thread.id)
        if mark.over:
            return  # Slack refused its first message earlier in this plan
        if action.kind is ActionKind.UPDATE:
            self._send_with_fallback(action, lambda content: self._update(action, content), action.thread.top)
        elif action.kind is ActionKind.PICTURE:
            self._once(action, mark, lambda: self._upload(action, mark))
        else:
            self._once(action, mark, lambda: self._post(channel, action, mark))

    def _once(self, action: Action, mark: SlackMark, send: Callable[[], None]) -> None:
        """Send what Slack must not hold twice. The try is saved before; after a lost answer Slack is searched first."""
        since = mark.tried.get(action.item)
        if since is not None and self._found_in_slack(action, mark, since):
            log.info("Slack had taken the %s of %s; its answer had been lost", action.kind, action.thread.id)
            return
        self.marks.save(replace(mark, tried={**mark.tried, action.item: since or time.time()}))
        try:
            send()
        except (SlackBusyError, SlackTokenError, SlackChannelError):
            self.marks.save(mark)  # Slack took nothing, that is certain
            raise

    def _found_in_slack(self, action: Action, mark: SlackMark, since: float) -> bool:
        """True if Slack holds the item already; the mark then says so too."""
        if action.kind is ActionKind.POST:
            channel = mark.channel or action.thread.channel
            found = self.slack.find(channel, MessageLabel(action.thread.id), since - _CLOCKS_DIFFER_BY)
            if found is not None:
                # No fingerprint: the message may show an older content, and is updated.
                self._note(action, channel=found.channel, named=action.thread.channel, ts=found.ts, digest="")
            return found is not None
        place = PostedMessage(mark.channel, mark.ts)
        if action.kind is ActionKind.REPLY:
            ts = self.slack.find_reply(place, MessageLabel(action.thread.id, action.item))
            if ts is not None:
                self._note(action, replies={**mark.replies, action.item: ts})
            return ts is not None
        there = self.slack.has_picture(place, action.item)
        if there:
            self._note(action, pictures=[*mark.pictures, action.item])
        return there

    def _post(self, channel: str, action: Action, mark: SlackMark) -> None:
        thread, reply = action.thread, action.reply
        label = MessageLabel(thread.id, action.item)
        if reply is None:
            posted = self._send_with_fallback(
                action, lambda content: self.slack.post(channel, content, label), thread.top
            )
            place = posted or PostedMessage(channel, "")
            self._note(
                action,
                channel=place.channel,
                named=thread.channel,
                ts=place.ts,
                digest=fingerprint(thread.top),
                over=posted is None,  # it is not tried again; the health page shows why
            )
            return
        answer = self._send_with_fallback(
            action,
            lambda content: self.slack.post(mark.channel, content, label, thread=mark.ts, loud=reply.loud),
            reply.message(),
        )
        self._note(action, replies={**mark.replies, action.item: answer.ts if answer else ""})

    def _update(self, action: Action, content: Content) -> PostedMessage:
        mark = self.marks.of(action.thread.id)
        place = PostedMessage(mark.channel, mark.ts)
        self.slack.update(place, content, MessageLabel(action.thread.id))
        self._note(action, digest=fingerprint(action.thread.top))
        return place

    def _upload(self, action: Action, mark: SlackMark) -> None:
        try:
            content = self.picture(action.item).read_bytes()
            self.slack.upload(PostedMessage(mark.channel, mark.ts), action.item, content, action.title)
            self.tally.delivered[action.thread.channel] += 1
        except FileNotFoundError:
            self._note_refusal(action, "the picture's file is not there")
        except SlackContentError as error:
            self._note_refusal(action, str(error))
        self._note(action, pictures=[*mark.pictures, action.item])

    def _send_with_fallback(
        self, action: Action, send: Callable[[Content], PostedMessage], message: Content
    ) -> PostedMessage | None:
        """Send a message; as plain text if Slack refuses its blocks, and None if Slack refuses that too."""
        for content in (message, without_blocks(message)):
            try:
                posted = send(content)
            except SlackContentError as error:
                self._note_refusal(action, str(error))
            else:
                self.tally.delivered[action.thread.channel] += 1
                return posted
        if action.kind is ActionKind.UPDATE:
            self._note(action, digest=fingerprint(message))
        return None

    def _note_refusal(self, action: Action, why: str) -> None:
        log.error("Slack refused the %s %s of %s: %s", action.kind, action.item, action.thread.id, why)
        self.tally.refused[action.thread.channel] += 1
        mark = self.marks.of(action.thread.id)
        self.marks.save(replace(mark, refused={**mark.refused, action.item: why}))

    def _note(self, action: Action, **changes: object) -> None:
        """Save that Slack holds the action's item."""
        mark = self.marks.of(action.thread.id)
        tried = {item: since for item, since in mark.tried.items() if item != action.item}
        self.marks.save(replace(mark, tried=tried, **changes))  # type: ignore[arg-type]
