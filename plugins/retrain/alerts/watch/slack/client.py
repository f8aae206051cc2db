"""Requests to Slack's Web API. No other module imports slack_sdk."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)

from retrain.alerts.errors import SlackChannelError, SlackUnavailableError
from retrain.alerts.message.plain_text import Content
from retrain.alerts.watch.slack.app_token import AppToken
from retrain.alerts.watch.slack.posted import MessageLabel, PostedMessage
from retrain.alerts.watch.slack.refusals import refusal, retry_after
from retrain.alerts.watch.slack.scopes import granted

if TYPE_CHECKING:
    from slack_sdk.http_retry.handler import RetryHandler
    from slack_sdk.http_retry.request import HttpRequest
    from slack_sdk.http_retry.response import HttpResponse
    from slack_sdk.http_retry.state import RetryState
    from slack_sdk.web import SlackResponse

_LONGEST_WAIT = 10  # seconds that a request waits for a rate limit; for longer ones SlackBusyError is raised
_PAGE = 200
_LARGEST_PAGE = 999  # of channels: Slack allows few requests a minute, and a workspace may have thousands of channels
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{8,}")

# slack_sdk would log each failed try with its address; our error has the reason already.
_wire = logging.getLogger("retrain.alerts.watch.slack.wire")
_wire.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class SlackApp:
    """The app that a token belongs to: the name of its user, and of its workspace; its scopes, None if Slack did not name them."""

    user: str
    team: str
    scopes: frozenset[str] | None = None


@dataclass(frozen=True)
class SlackClient:
    """A client for one workspace.

    Requests that are safe to repeat are retried by slack_sdk's own handlers. `post` and `upload` are retried only after a 429,
    which says that Slack took nothing; after a lost answer the caller looks for the message by its label.

    Raises:
        SlackError: from every method, as the subclass that says who has to act.
    """

    token: AppToken
    base_url: str | None = None  # of the Web API, where it is not Slack's own
    timeout: int = 15  # seconds, for each try
    tries: int = 2
    _ids: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)  # channel name -> id
    _workspace: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)  # `url`, once known

    def post(
        self, channel: str, message: Content, label: MessageLabel, *, thread: str | None = None, loud: bool = False
    ) -> PostedMessage:
        """Post to a channel (name or id). `thread` is the `ts` of the message to reply to; `loud` shows the reply in the channel."""
        with _translated_errors(f"a message to {channel}"):
            answer = self._client(again=False).chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=list(message.blocks) or None,
                metadata=label.metadata,
                thread_ts=thread,
                reply_broadcast=loud if thread else None,
                unfurl_links=False,
                unfurl_media=False,
            )
            return PostedMessage(str(answer["channel"]), str(answer["ts"]))

    def update(self, posted: PostedMessage, message: Content, label: MessageLabel) -> None:
        """Replace the content of a message."""
        with _translated_errors(f"an update in {posted.channel}"):
            self._client().chat_update(
                channel=posted.channel,
                ts=posted.ts,
                text=message.text,
                blocks=list(message.blocks),
                metadata=label.metadata,
            )

    def upload(self, thread: PostedMessage, name: str, content: bytes, title: str) -> None:
        """Upload a picture to a thread."""
        with _translated_errors(f"the picture {name} in {thread.channel}"):
            self._client(again=False).files_upload_v2(
                channel=thread.channel, thread_ts=thread.ts, filename=name, content=content, title=title, alt_txt=title
            )

    def find(self, channel: str, label: MessageLabel, since: float) -> PostedMessage | None:
        """The message with this label in a channel (name or id), among those after `since` (seconds since 1970)."""
        with self._identified(channel) as identifier, _translated_errors(f"the history of {channel}"):
            pages = self._client().conversations_history(
                channel=identifier, oldest=f"{since:.6f}", include_all_metadata=True, limit=_PAGE
            )
            return next((PostedMessage(identifier, m["ts"]) for m in _all(pages, "messages") if label.is_on(m)), None)

    def find_reply(self, thread: PostedMessage, label: MessageLabel) -> str | None:
        """The `ts` of the reply with this label."""
        return next((str(m["ts"]) for m in self._replies(thread) if m["ts"] != thread.ts and label.is_on(m)), None)

    def has_picture(self, thread: PostedMessage, name: str) -> bool:
        """True if the thread holds a picture of that file name."""
        return any(file.get("name") == name for m in self._replies(thread) for file in m.get("files") or ())

    def check(self, channel: str | None = None) -> str:
        """Check the token, and that the app may post in the channel (name or id). Returns the app's name and workspace."""
        app = self.app()
        if channel:
            self.check_channel(channel, app)
        return f"{app.user} in {app.team}"

    def app(self) -> SlackApp:
        """The app that the token belongs to."""
        with _translated_errors("auth.test"):
            who = self._client().auth_test()
        self._workspace["url"] = str(who.get("url") or "")
        return SlackApp(str(who.get("user")), str(who.get("team")), granted(who.headers))

    def check_channel(self, channel: str, app: SlackApp) -> None:
        """Check that the app may post in the channel (name or id)."""
        about = self._about(channel)
        if not _CHANNEL_ID.fullmatch(channel) and about.get("name") != channel.removeprefix("#"):
            self._forget(channel)  # the channel of the id that we kept has another name now
            about = self._about(channel)
        if about.get("is_archived"):
            raise SlackChannelError(f"{channel} is archived. Name another channel, or unarchive it.")
        if not about.get("is_member", True):
            raise SlackChannelError(f"The app is not in {channel}. Invite it: /invite @{app.user}")

    def is_private(self, channel: str) -> bool:
        """True if the channel (name or id) is a private one."""
        return bool(self._about(channel).get("is_private"))

    def permalink(self, posted: PostedMessage) -> str:
        """The address of a message in the workspace; empty until `check` has learned the workspace's own. Asks Slack nothing."""
        workspace = self._workspace.get("url", "")
        if not workspace.startswith(("https://", "http://")):
            return ""
        return f"{workspace.rstrip('/')}/archives/{posted.channel}/p{posted.ts.replace('.', '')}"

    def channel_id(self, channel: str) -> str:
        """The id of a channel, which every method except chat.postMessage needs. One listing serves all names in its pages."""
        if _CHANNEL_ID.fullmatch(channel):
            return channel
        name = channel.removeprefix("#")
        if name in self._ids:
            return self._ids[name]
        with _translated_errors("the list of channels"):
            pages = self._client().conversations_list(
                types="public_channel,private_channel", exclude_archived=False, limit=_LARGEST_PAGE
            )
            for page in pages:
                self._ids.update((found["name"], str(found["id"])) for found in page.get("channels") or ())
                if name in self._ids:
                    return self._ids[name]
        raise SlackChannelError(f"{channel}: channel_not_found. Correct the name, or invite the app to the channel.")

    @contextmanager
    def _identified(self, channel: str) -> Iterator[str]:
        """Yields the channel's id. If Slack refuses the channel, the id is forgotten: the name may belong to another one now."""
        try:
            yield self.channel_id(channel)
        except SlackChannelError:
            self._forget(channel)
            raise

    def _forget(self, channel: str) -> None:
        self._ids.pop(channel.removeprefix("#"), None)

    def _about(self, channel: str) -> dict[str, Any]:
        with self._identified(channel) as identifier, _translated_errors(f"what {channel} is"):
            about: dict[str, Any] = self._client().conversations_info(channel=identifier)["channel"]
            return about

    def _replies(self, thread: PostedMessage) -> Iterator[dict[str, Any]]:
        with _translated_errors(f"a thread of {thread.channel}"):
            pages = self._client().conversations_replies(
                channel=thread.channel, ts=thread.ts, include_all_metadata=True, limit=_PAGE
            )
            yield from _all(pages, "messages")

    def _client(self, *, again: bool = True) -> WebClient:
        handlers: list[RetryHandler] = [_ShortRateLimit(max_retry_count=self.tries)]
        if again:
            handlers += [
                ConnectionErrorRetryHandler(max_retry_count=self.tries),
                ServerErrorRetryHandler(max_retry_count=self.tries),
            ]
        client = WebClient(
            token=self.token.read(),
            timeout=self.timeout,
            retry_handlers=handlers,
            base_url=self.base_url or WebClient.BASE_URL,
            logger=_wire,
        )
        # slack_sdk takes the proxy from the environment but ignores NO_PROXY. Without a proxy of its own it leaves the choice
        # to urllib, which honours both.
        client.proxy = None
        return client


class _ShortRateLimit(RateLimitErrorRetryHandler):
    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        limited = super()._can_retry(state=state, request=request, response=response, error=error)
        return limited and response is not None and retry_after(response.headers) <= _LONGEST_WAIT


@contextmanager
def _translated_errors(request: str) -> Iterator[None]:
    """Translate slack_sdk's exceptions into SlackError. `request` names the request for people."""
    try:
        yield
    except SlackApiError as error:
        answer: SlackResponse = error.response
        body = answer.data if isinstance(answer.data, dict) else {}
        raise refusal(request, answer.status_code, answer.headers, body) from error
    except (OSError, ValueError, HTTPException, SlackClientError) as error:
        raise SlackUnavailableError(f"Slack did not answer ({error}): {request}. It is tried again.") from error


def _all(pages: SlackResponse, name: str) -> Iterator[dict[str, Any]]:
    for page in pages:
        yield from page.get(name) or ()
