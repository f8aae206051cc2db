"""The only module that talks to Slack."""

from __future__ import annotations

import re

from retrain.alerts import Message
from retrain.connections import SlackAccess
from retrain.errors import SlackError

_TIMEOUT_SECONDS = 15
_RETRIES = 3
_HEADER_VALUE = re.compile(r"[!-~]*")


def post(access: SlackAccess, channel: str, message: Message) -> str:
    """Post a message, honouring 429 and 5xx; returns its timestamp, Slack's id of it.

    Raises:
        SlackError: Slack refused (the error's name is Slack's) or did not answer.
    """
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackClientError
    from slack_sdk.http_retry.builtin_handlers import (
        ConnectionErrorRetryHandler,
        RateLimitErrorRetryHandler,
        ServerErrorRetryHandler,
    )

    # Python's http.client, and slack_sdk's log with it, would quote such a token whole.
    if not _HEADER_VALUE.fullmatch(access.token.strip()):
        raise SlackError(
            "The token of the Slack connection holds a blank or a character that no token has. Nothing was sent. "
            "Set the connection's password again, then clear the task."
        )
    client = WebClient(
        token=access.token,
        timeout=_TIMEOUT_SECONDS,
        retry_handlers=[
            ConnectionErrorRetryHandler(max_retry_count=_RETRIES),
            RateLimitErrorRetryHandler(max_retry_count=_RETRIES),
            ServerErrorRetryHandler(max_retry_count=_RETRIES),
        ],
        base_url=access.base_url or WebClient.BASE_URL,
    )
    try:
        answer = client.chat_postMessage(
            channel=channel, text=message.text, blocks=message.blocks, unfurl_links=False, unfurl_media=False
        )
    except SlackClientError as error:
        raise SlackError(
            f"Slack refused a message to {channel}: {_reason(error)}. Check the token and the channel, then clear the task."
        ) from error
    except OSError as error:
        raise SlackError(
            f"Slack did not answer ({error}). The message to {channel} was not sent; clear the task when it does."
        ) from error
    return str(answer["ts"])


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response["error"]) if response is not None and response.get("error") else type(error).__name__
