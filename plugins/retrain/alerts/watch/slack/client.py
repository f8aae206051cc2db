"""The only module that talks to Slack.

A request of which nobody knows whether Slack took it is not simply sent again: each message carries an id of ours in its
metadata, and is found again by it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)

from retrain.alerts.message.plain_text import Content
from retrain.errors import (
    SlackBusyError,
    SlackChannelError,
    SlackContentError,
    SlackError,
    SlackTokenError,
    SlackUnavailableError,
)

if TYPE_CHECKING:
    from slack_sdk.http_retry.handler import RetryHandler
    from slack_sdk.http_retry.request import HttpRequest
    from slack_sdk.http_retry.response import HttpResponse
    from slack_sdk.http_retry.state import RetryState
    from slack_sdk.web import SlackResponse

EVENT = "retrain_incident"

_LONGEST_WAIT = 10  # seconds that a call itself waits for a rate limit; a longer one is the caller's
_PAGE = 200
_LARGEST_PAGE = 999  # of channels: thousands of them must not take more calls a minute than Slack allows
_HEADER_VALUE = re.compile(r"[!-~]+")
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{8,}")

# Slack's names: https://docs.slack.dev/reference/methods/chat.postMessage#errors
_TOKEN = frozenset(
    [
        "not_authed",
        "invalid_auth",
        "token_expired",
        "token_revoked",
        "account_inactive",
        "missing_scope",
        "no_permission",
        "access_denied",
        "not_allowed_token_type",
        "org_login_required",
        "ekm_access_denied",
        "team_access_not_granted",
        "accesslimited",
        "enterprise_is_restricted",
        "two_factor_setup_required",
    ]
)
_CHANNEL = frozenset(
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "is_inactive",
        "channel_is_archived",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
        "posting_to_channel_denied",
    ]
)
_PASSING = frozenset(["internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"])

# The client would log each try that fails, once more and with the address; what failed is told by the error.
_wire = logging.getLogger("retrain.alerts.watch.slack.wire")
_wire.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Mark:
    """What a message of ours is found again by: the incident, and the entry of its thread."""

    id: str
    entry: str = ""

    @property
    def metadata(self) -> dict[str, Any]:
        return {"event_type": EVENT, "event_payload": {"id": self.id, "entry": self.entry}}

    def on(self, message: Mapping[str, Any]) -> bool:
        found = message.get("metadata") or {}
        return {"event_type": found.get("event_type"), "event_payload": found.get("event_payload")} == self.metadata


@dataclass(frozen=True)
class Posted:
    """Where a message is: the channel's id, and its time, which is Slack's id of it."""

    channel: str
    ts: str


@dataclass(frozen=True)
class Token:
    """The app's token: from a file, read anew for each call, or as it is."""

    value: str = field(default="", repr=False)
    file: Path | None = None

    def read(self) -> str:
        """SlackTokenError when there is none, or one that no header can carry."""
        try:
            token = self.file.read_text(encoding="utf-8").strip() if self.file else self.value.strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SlackTokenError(f"The file of Slack's token cannot be read: {error}") from error
        if not token:
            raise SlackTokenError("There is no Slack token. Set RETRAIN_SLACK_TOKEN_FILE or RETRAIN_SLACK_TOKEN.")
        # Python's http.client would quote such a token whole.
        if not _HEADER_VALUE.fullmatch(token):
            raise SlackTokenError("Slack's token holds a blank or a character that no token has. Nothing was sent.")
        return token


@dataclass(frozen=True)
class Slack:
    """A workspace, as the app sees it. `base_url` is the Web API's when it is not Slack's own.

    Every method raises one of SlackError's kinds. Those that may be done twice without harm are tried again by slack_sdk's
    own handlers; `post`, `reply` and `upload` only after a 429, which says that nothing was taken.
    """

    token: Token
    base_url: str | None = None
    timeout: int = 15  # seconds, for each try
    tries: int = 2
    _ids: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)  # channel name -> id

    def post(
        self, channel: str, message: Content, mark: Mark, *, thread: str | None = None, loud: bool = False
    ) -> Posted:
        """Post to a channel (name or id), or into a thread of it; a `loud` reply is shown in the channel too."""
        with _asked(f"a message to {channel}"):
            answer = self._client(again=False).chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=list(message.blocks) or None,
                metadata=mark.metadata,
                thread_ts=thread,
                reply_broadcast=loud if thread else None,
                unfurl_links=False,
                unfurl_media=False,
            )
            return Posted(str(answer["channel"]), str(answer["ts"]))

    def update(self, posted: Posted, message: Content, mark: Mark) -> None:
        """Make a message say something else."""
        with _asked(f"an update in {posted.channel}"):
            self._client().chat_update(
                channel=posted.channel,
                ts=posted.ts,
                text=message.text,
                blocks=list(message.blocks),
                metadata=mark.metadata,
            )

    def upload(self, thread: Posted, name: str, content: bytes, title: str) -> None:
        """Show a picture in a thread."""
        with _asked(f"the picture {name} in {thread.channel}"):
            self._client(again=False).files_upload_v2(
                channel=thread.channel, thread_ts=thread.ts, filename=name, content=content, title=title, alt_txt=title
            )

    def find(self, channel: str, mark: Mark, since: float) -> Posted | None:
        """The message of a mark in a channel (name or id), among those after `since` (seconds since 1970)."""
        with self._identified(channel) as identifier, _asked(f"the history of {channel}"):
            pages = self._client().conversations_history(
                channel=identifier, oldest=f"{since:.6f}", include_all_metadata=True, limit=_PAGE
            )
            return next((Posted(identifier, m["ts"]) for m in _all(pages, "messages") if mark.on(m)), None)

    def find_reply(self, thread: Posted, mark: Mark) -> str | None:
        """The time of the reply of a mark."""
        return next((str(m["ts"]) for m in self._replies(thread) if m["ts"] != thread.ts and mark.on(m)), None)

    def has_picture(self, thread: Posted, name: str) -> bool:
        """Whether the picture of that file name is in the thread."""
        return any(file.get("name") == name for m in self._replies(thread) for file in m.get("files") or ())

    def check(self, channel: str | None = None) -> str:
        """Who the token is, and whether it may post in the channel (name or id). Gives the app's name and workspace."""
        with _asked("auth.test"):
            who = self._client().auth_test()
        if channel:
            about = self._about(channel)
            if not _CHANNEL_ID.fullmatch(channel) and about.get("name") != channel.removeprefix("#"):
                self._forget(channel)  # the channel of that id has another name now
                about = self._about(channel)
            if about.get("is_archived"):
                raise SlackChannelError(f"{channel} is archived. Name another channel, or unarchive it.")
            if not about.get("is_member", True):
                raise SlackChannelError(f"The app is not in {channel}. Invite it: /invite @{who.get('user')}")
        return f"{who.get('user')} in {who.get('team')}"

    def channel_id(self, channel: str) -> str:
        """The id of a channel; only chat.postMessage knows a channel by its name. Slack is asked once for each name."""
        if _CHANNEL_ID.fullmatch(channel):
            return channel
        name = channel.removeprefix("#")
        if name in self._ids:
            return self._ids[name]
        with _asked("the list of channels"):
            pages = self._client().conversations_list(
                types="public_channel,private_channel", exclude_archived=False, limit=_LARGEST_PAGE
            )
            for found in _all(pages, "channels"):
                if found["name"] == name:
                    self._ids[name] = str(found["id"])
                    return self._ids[name]
        raise SlackChannelError(f"{channel}: channel_not_found. Correct the name, or invite the app to the channel.")

    @contextmanager
    def _identified(self, channel: str) -> Iterator[str]:
        """The channel's id; forgotten when Slack refuses the channel, which may have another id now."""
        try:
            yield self.channel_id(channel)
        except SlackChannelError:
            self._forget(channel)
            raise

    def _forget(self, channel: str) -> None:
        self._ids.pop(channel.removeprefix("#"), None)

    def _about(self, channel: str) -> dict[str, Any]:
        with self._identified(channel) as identifier, _asked(f"what {channel} is"):
            about: dict[str, Any] = self._client().conversations_info(channel=identifier)["channel"]
            return about

    def _replies(self, thread: Posted) -> Iterator[dict[str, Any]]:
        with _asked(f"a thread of {thread.channel}"):
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
        # The client takes any proxy of the environment, and knows no NO_PROXY; urllib, which it then asks, knows both.
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
        return limited and response is not None and _seconds(response.headers) <= _LONGEST_WAIT


@contextmanager
def _asked(what: str) -> Iterator[None]:
    """Translate slack_sdk's exceptions into SlackError, by who has to act."""
    try:
        yield
    except SlackApiError as error:
        raise _refusal(what, error) from error
    except (OSError, ValueError, HTTPException, SlackClientError) as error:
        raise SlackUnavailableError(f"Slack did not answer ({error}): {what}. It is tried again.") from error


def _refusal(what: str, error: SlackApiError) -> SlackError:
    response: SlackResponse = error.response
    name = str(response.get("error") or "no reason given")
    details = "; ".join((response.get("response_metadata") or {}).get("messages") or ())
    said = f"Slack refused {what}: {name}{f' ({details})' if details else ''}."
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or name in ("ratelimited", "rate_limited"):
        seconds = _seconds(response.headers)
        return SlackBusyError(f"{said} It is tried again in {seconds:.0f} s.", seconds)
    if name in _TOKEN:
        return SlackTokenError(f"{said} Renew the token, or give it the scope, where RETRAIN_SLACK_TOKEN… points to.")
    if name in _CHANNEL:
        return SlackChannelError(f"{said} Correct slack.channel in the pipeline's file, or invite the app.")
    # A proxy's page of HTML is an answer too, but none of Slack's.
    if response.status_code != HTTPStatus.OK or name in _PASSING or " " in name:
        return SlackUnavailableError(f"{said} (HTTP {response.status_code}) It is tried again.")
    return SlackContentError(said)


def _seconds(headers: Mapping[str, Any]) -> float:
    """What a 429 asks to wait, in seconds."""
    found = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if isinstance(found, list):
        found = found[0] if found else None
    try:
        return max(float(found or 1), 0.0)
    except ValueError:
        return 60.0


def _all(pages: SlackResponse, name: str) -> Iterator[dict[str, Any]]:
    for page in pages:
        yield from page.get(name) or ()
