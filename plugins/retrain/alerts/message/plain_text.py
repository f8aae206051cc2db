"""A message in Block Kit as plain text: for channels without blocks, and for a message whose blocks Slack refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# An update takes 4,000 bytes of text.
_MOST_BYTES = 3_500
_LINK = re.compile(r"<((?:https?|mailto):[^|<>]+)(?:\|([^<>]*))?>")
_BOLD = re.compile(r"(?<!\w)\*([^*\n]+)\*(?!\w)")


class Content(Protocol):
    """A message: `text` for a lock screen, `blocks` (Block Kit) for the channel."""

    @property
    def text(self) -> str: ...
    @property
    def blocks(self) -> Sequence[dict[str, Any]]: ...


@dataclass(frozen=True)
class Plain:
    """A message of text alone."""

    text: str
    blocks: tuple[dict[str, Any], ...] = ()


def to_text(message: Content) -> str:
    """All lines of its blocks, or its `text` if it has none: links as `label: address`, nothing escaped."""
    return "\n".join(_lines(message.blocks)) or _read(message.text)


def without_blocks(message: Content) -> Plain:
    """The message for Slack without blocks: text in which nothing links, mentions or styles."""
    text = to_text(message)
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escaped)
    encoded = text.encode()
    return Plain(text if len(encoded) <= _MOST_BYTES else encoded[:_MOST_BYTES].decode(errors="ignore") + "…")


def _lines(blocks: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for block in blocks:
        parts = [block.get("text"), *(block.get("fields") or ()), *(block.get("elements") or ())]
        for part in parts:
            if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                yield part["text"] if part.get("type") == "plain_text" else _read(part["text"])


def _read(mrkdwn: str) -> str:
    text = _LINK.sub(lambda match: f"{match[2]}: {match[1]}" if match[2] else match[1], mrkdwn)
    text = _BOLD.sub(r"\1", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
