"""Slack's limits on a message; a violation has Slack's own error name.

Limits: https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/methods/chat.postMessage
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_LONGEST_TEXT = 40_000
_LONGEST_UPDATED_TEXT = 4_000  # bytes, with each & escaped
# Slack documents no limit for all blocks together, but refuses from about 13,100 characters on (slackapi/bolt-js#2509).
_LONGEST_BLOCKS = 13_000
_MOST_BLOCKS = 50
_MOST_ATTACHMENTS = 100
_LONGEST_TEXT_OBJECT = 3_000
_LONGEST_FIELD = 2_000
_LONGEST_HEADER = 150
_LONGEST_BUTTON = 75
_LONGEST_URL = 3_000
_LONGEST_ALT_TEXT = 2_000
_LONGEST_BLOCK_ID = 255
_MOST_FIELDS = 10
_MOST_CONTEXT_ELEMENTS = 10
_MOST_ACTIONS = 25
_FILE_ID = re.compile(r"F[A-Z0-9]{8,}")

IsPicture = Callable[[Mapping[str, Any]], bool]


class RefusedCallError(Exception):
    """Slack would refuse the call. `code` is the answer's `error`; `messages` go into its `response_metadata`."""

    def __init__(self, code: str, messages: list[str] | None = None) -> None:
        super().__init__(code, *(messages or []))
        self.code = code
        self.messages = messages or []


@dataclass
class _Problems:
    """The problems found in a list of blocks, each with a JSON pointer to its place."""

    is_picture: IsPicture
    found: list[str] = field(default_factory=list)

    def add(self, problem: str, pointer: str) -> None:
        self.found.append(f"{problem} [json-pointer:{pointer}]")

    def length(self, value: object, longest: int, pointer: str) -> None:
        if not isinstance(value, str) or not value:
            self.add("must be more than 0 characters", pointer)
        elif len(value) > longest:
            self.add(f"must be less than {longest + 1} characters", pointer)

    def text_object(self, value: object, longest: int, pointer: str, kinds: tuple[str, ...] = ()) -> None:
        if not isinstance(value, Mapping):
            self.add("must provide an object", pointer)
            return
        if value.get("type") not in (kinds or ("mrkdwn", "plain_text")):
            self.add(f"unsupported type: {value.get('type')}", f"{pointer}/type")
        self.length(value.get("text"), longest, f"{pointer}/text")

    def count(self, value: object, most: int, pointer: str) -> list[Any]:
        if not isinstance(value, list) or not value:
            self.add("must provide an array with at least 1 item", pointer)
            return []
        if len(value) > most:
            self.add(f"no more than {most} items allowed", pointer)
        return value


def check_message(text: str, blocks: Any, attachments: Any, metadata: Any, is_picture: IsPicture) -> None:
    """Check the parts of a message. `is_picture` is True if a block's `slack_file` names an uploaded picture.

    Raises:
        RefusedCallError: Slack would refuse the message.
    """
    if not (text or blocks or attachments):
        raise RefusedCallError("no_text")
    if len(text) > _LONGEST_TEXT:
        raise RefusedCallError("msg_too_long")
    if blocks is not None:
        check_blocks(blocks, is_picture)
    if attachments is not None:
        _check_attachments(attachments, is_picture)
    if metadata is not None and not (
        isinstance(metadata, Mapping)
        and isinstance(metadata.get("event_type"), str)
        and isinstance(metadata.get("event_payload"), Mapping)
    ):
        raise RefusedCallError("invalid_metadata_format")


def check_updated_text(text: str) -> None:
    """Check the limit that chat.update has and chat.postMessage has not.

    Raises:
        RefusedCallError: the text is too long for chat.update.
    """
    escaped = re.sub("&(?!amp;|lt;|gt;)", "&amp;", text)
    if len(escaped.encode()) > _LONGEST_UPDATED_TEXT:
        raise RefusedCallError("msg_too_long")


def _check_attachments(attachments: Any, is_picture: IsPicture) -> None:
    if not isinstance(attachments, list) or not all(isinstance(item, Mapping) for item in attachments):
        raise RefusedCallError("invalid_attachments")
    if len(attachments) > _MOST_ATTACHMENTS:
        raise RefusedCallError("too_many_attachments")
    for position, attachment in enumerate(attachments):
        fields = attachment.get("fields") or []
        if not isinstance(fields, list) or not all(isinstance(item, Mapping) for item in fields):
            raise RefusedCallError("invalid_attachments")
        if attachment.get("blocks"):
            check_blocks(attachment["blocks"], is_picture, f"/attachments/{position}/blocks")


def check_blocks(blocks: Any, is_picture: IsPicture, pointer: str = "/blocks") -> None:
    """Check a list of blocks. `pointer` is the JSON pointer to the list.

    Raises:
        RefusedCallError: `invalid_blocks`, with a line for each block that breaks a limit, or another of Slack's errors.
    """
    if not isinstance(blocks, list):
        raise RefusedCallError("invalid_blocks_format")
    problems = _Problems(is_picture)
    if len(blocks) > _MOST_BLOCKS:
        problems.add(f"no more than {_MOST_BLOCKS} items allowed", pointer)
    for position, block in enumerate(blocks):
        if isinstance(block, Mapping):
            _check_block(block, f"{pointer}/{position}", problems)
        else:
            problems.add("must provide an object", f"{pointer}/{position}")
    ids = [block["block_id"] for block in blocks if isinstance(block, Mapping) and block.get("block_id")]
    if len(set(map(str, ids))) < len(ids):
        problems.add("block_id must be unique", pointer)
    if problems.found:
        raise RefusedCallError("invalid_blocks", problems.found)
    if len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > _LONGEST_BLOCKS:
        raise RefusedCallError("msg_blocks_too_long")


def _check_block(block: Mapping[str, Any], pointer: str, problems: _Problems) -> None:
    if "block_id" in block:
        problems.length(block["block_id"], _LONGEST_BLOCK_ID, f"{pointer}/block_id")
    check = _CHECKS.get(str(block.get("type")))
    if check is None:
        problems.add(f"unsupported type: {block.get('type')}", f"{pointer}/type")
    else:
        check(block, pointer, problems)


def _check_header(block: Mapping[str, Any], pointer: str, problems: _Problems) -> None:
    problems.text_object(block.get("text"), _LONGEST_HEADER, f"{pointer}/text", ("plain_text",))


def _check_context(block: Mapping[str, Any], pointer: str, problems: _Problems) -> None:
    elements = problems.count(block.get("elements"), _MOST_CONTEXT_ELEMENTS, f"{pointer}/elements")
    for position, element in enumerate(elements):
        if isinstance(element, Mapping) and element.get("type") == "image":
            _check_image(element, f"{pointer}/elements/{position}", problems)
        else:
            problems.text_object(element, _LONGEST_TEXT_OBJECT, f"{pointer}/elements/{position}")


def _check_image_block(block: Mapping[str, Any], pointer: str, problems: _Problems) -> None:
    _check_image(block, pointer, problems)
    if "title" in block:
        problems.text_object(block["title"], _LONGEST_ALT_TEXT, f"{pointer}/title", ("plain_text",))


def _check_actions(block: Mapping[str, Any], pointer: str, problems: _Problems) -> None:
    for position, element in enumerate(problems.count(block.get("elements"), _MOST_ACTIONS, f"{pointer}/elements")):
        _check_element(element, f"{pointer}/elements/{position}", problems)


def _check_rich_text(block: Mapping[str, Any], pointer: str, problems: _Problems) -> None:
    elements = block.get("elements")
    if not isinstance(elements, list):
        problems.add("must provide an array", f"{pointer}/elements")
        return
    for position, element in enumerate(elements):
        if not isinstance(element, Mapping):
            problems.add("must provide an object", f"{pointer}/elements/{position}")
        elif "elements" in element:
            _check_rich_text(element, f"{pointer}/elements/{position}", problems)


def _check_divider(_block: Mapping[str, Any], _pointer: str, _faults: _Problems) -> None:
    """Every divider is valid: it has no parts."""


def _check_section(block: Mapping[str, Any], pointer: str, problems: _Problems) -> None:
    if "text" not in block and "fields" not in block:
        problems.add("missing required field: text or fields", pointer)
    if "text" in block:
        problems.text_object(block["text"], _LONGEST_TEXT_OBJECT, f"{pointer}/text")
    if "fields" in block:
        for position, item in enumerate(problems.count(block["fields"], _MOST_FIELDS, f"{pointer}/fields")):
            problems.text_object(item, _LONGEST_FIELD, f"{pointer}/fields/{position}")
    if "accessory" in block:
        _check_element(block["accessory"], f"{pointer}/accessory", problems)


def _check_element(element: Any, pointer: str, problems: _Problems) -> None:
    kind = element.get("type") if isinstance(element, Mapping) else None
    if kind == "button":
        problems.text_object(element.get("text"), _LONGEST_BUTTON, f"{pointer}/text", ("plain_text",))
        if "url" in element:
            problems.length(element["url"], _LONGEST_URL, f"{pointer}/url")
    elif kind == "image":
        _check_image(element, pointer, problems)
    else:
        problems.add(f"unsupported type: {kind}", f"{pointer}/type")


def _check_image(image: Mapping[str, Any], pointer: str, problems: _Problems) -> None:
    problems.length(image.get("alt_text"), _LONGEST_ALT_TEXT, f"{pointer}/alt_text")
    if "slack_file" not in image:
        problems.length(image.get("image_url"), _LONGEST_URL, f"{pointer}/image_url")
        if not _is_public(str(image.get("image_url") or "")):
            problems.add("downloading image failed", f"{pointer}/image_url")
        return
    file, pointer = image["slack_file"], f"{pointer}/slack_file"
    if not isinstance(file, Mapping) or ("id" in file) == ("url" in file):
        problems.add("must provide either an id or a url", pointer)
    elif "id" in file and not _FILE_ID.fullmatch(str(file["id"])):
        problems.add(f"input must match regex pattern: ^{_FILE_ID.pattern}$", f"{pointer}/id")
    elif not problems.is_picture(file):
        problems.add("invalid slack file", pointer)


def _is_public(url: str) -> bool:
    """True if Slack's servers could fetch it: they reach no loopback address and no private network."""
    if not url.startswith(("http://", "https://")):
        return False
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], str, _Problems], None]] = {
    "actions": _check_actions,
    "context": _check_context,
    "divider": _check_divider,
    "header": _check_header,
    "image": _check_image_block,
    "rich_text": _check_rich_text,
    "section": _check_section,
}
