"""The arguments that Slack's listing methods share, such as `cursor`, `limit`, `oldest` and `latest`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from slack_standin.rules import RefusedCallError
from slack_standin.store import Message

LARGEST_PAGE = 1000
_TS = re.compile(r"\d+(\.\d+)?")


def is_true(value: object) -> bool:
    """True if an argument is true, in JSON or in a form."""
    return value is True or str(value).lower() in ("1", "true")


def within(message: Message, arguments: dict[str, Any]) -> bool:
    """True if a message lies between the call's `oldest` and `latest`.

    Raises:
        RefusedCallError: one of the two is no message time.
    """
    oldest, newest = _moment(arguments, "oldest"), _moment(arguments, "latest")
    ts = Decimal(message["ts"])
    if is_true(arguments.get("inclusive")):
        return (oldest is None or ts >= oldest) and (newest is None or ts <= newest)
    return (oldest is None or ts > oldest) and (newest is None or ts < newest)


def _moment(arguments: dict[str, Any], name: str) -> Decimal | None:
    given = str(arguments.get(name) or "")
    if given and not _TS.fullmatch(given):
        raise RefusedCallError(f"invalid_ts_{name}")
    return Decimal(given) if given else None


def with_metadata(messages: list[Message], arguments: dict[str, Any]) -> list[Message]:
    """The messages, without their metadata unless the call asks for it."""
    if is_true(arguments.get("include_all_metadata")):
        return messages
    return [{name: value for name, value in message.items() if name != "metadata"} for message in messages]


def page_of(items: list[Any], arguments: dict[str, Any], name: str, *, default_limit: int) -> dict[str, Any]:
    """The answer with the page that the call's `cursor` and `limit` choose, under the key `name`.

    Raises:
        RefusedCallError: the cursor or the limit is not valid.
    """
    try:
        limit = int(arguments.get("limit") or default_limit)
        start = int(str(arguments.get("cursor") or "0").removeprefix("at:"))
    except ValueError as error:
        raise RefusedCallError("invalid_cursor") from error
    if not 0 < limit <= LARGEST_PAGE:
        raise RefusedCallError("invalid_limit")
    rest = start + limit < len(items)
    return {
        name: items[start : start + limit],
        "has_more": rest,
        "response_metadata": {"next_cursor": f"at:{start + limit}" if rest else ""},
    }
