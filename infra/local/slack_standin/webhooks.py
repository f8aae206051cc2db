"""How an incoming webhook reads a message, and what it answers.

A webhook's message has `text`, `blocks` or `attachments`, as JSON or as JSON in the form field `payload`. Its channel and its
name are those of the webhook: others are ignored. Its errors: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

_MESSAGE = ("text", "blocks", "attachments", "thread_ts")
# Parts of an attachment of which Slack wants one; a footer alone is an empty message.
_SHOWN = ("text", "fallback", "title", "pretext", "fields", "blocks", "image_url", "thumb_url", "author_name")
_OF_THE_CHANNEL = {
    "is_archived": ("channel_is_archived", 410),
    "not_in_channel": ("action_prohibited", 403),
    "channel_not_found": ("channel_not_found", 404),
}


async def webhook_arguments(request: Request) -> dict[str, Any]:
    """The message that was sent to a webhook.

    Raises:
        ValueError: it is not JSON, or not an object.
    """
    kind = request.headers.get("content-type", "")
    if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        body = (await request.form()).get("payload")
        sent = json.loads(body) if isinstance(body, str) else None
    else:
        sent = json.loads(await request.body())
    if not isinstance(sent, dict):
        raise ValueError("the message is no JSON object")  # noqa: TRY004 - as a body that is no JSON
    return {name: sent[name] for name in _MESSAGE if name in sent}


def webhook_error(arguments: Mapping[str, Any]) -> str:
    """Slack's error for a message without anything to show; empty if it has something, which may still be wrong."""
    if not arguments:
        return "missing_text_or_fallback_or_attachments"
    attachments = arguments.get("attachments") or []
    if arguments.get("text") or arguments.get("blocks") or not isinstance(attachments, list):
        return ""
    shown = any(not isinstance(each, Mapping) or any(each.get(part) for part in _SHOWN) for each in attachments)
    return "" if shown else "no_text"


def webhook_answer(said: str) -> tuple[str, int]:
    """The text and the status with which a webhook answers, for `ok` or an error of the Web API."""
    if said == "ok":
        return said, 200
    return _OF_THE_CHANNEL.get(said, (said, 400))
