"""Text in Slack's mrkdwn: data is escaped, and Slack's limits are kept.

Grammar: https://docs.slack.dev/messaging/formatting-message-text
Limits: https://docs.slack.dev/reference/block-kit/blocks/section-block
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

ELLIPSIS = "…"
_TEXT = 3_000
_LONGEST_DATA = 8_000
_BLOCKS = 50
_ALL_BLOCKS = 12_500
_URL = 2_000
_FIRST_PLANE = 0xFFFF

_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_NO_CODE = {"`": "'"}
# Slack has no escape for its own marks: look-alikes show the text and style nothing.
_NO_STYLE = {"`": "'", "*": "\N{ASTERISK OPERATOR}", "~": "\N{TILDE OPERATOR}"}
# Inside a word, as in minute_of_day, an underscore styles nothing and stays what can be copied.
_STYLING_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_LOW_LINE = "\N{MODIFIER LETTER LOW MACRON}"
_HALF_AN_ESCAPE = re.compile(r"&[a-z]{0,3}$")


def plain(value: object, most: int = 300) -> str:
    """Data in running text, on one line, without mentions, links or styles. At most `most` characters."""
    text = _STYLING_UNDERSCORE.sub(_LOW_LINE, " ".join(_printable(value).split()))
    if text.startswith(">"):
        text = f"\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}{text[1:]}"  # a quote, at the beginning of a line
    return _fitted(text, {**_ESCAPED, **_NO_STYLE}, most)


def code(value: object, most: int = 300) -> str:
    """Data as inline code; a dash where there is none."""
    return f"`{_fitted(' '.join(_printable(value).split()), {**_ESCAPED, **_NO_CODE}, most) or '-'}`"


def block(value: object, most: int = 1_200, lines: int = 12) -> str:
    """Data as a block of code, its lines kept; empty for none."""
    kept = [line.rstrip() for line in _printable(value).strip().splitlines()]
    text = "\n".join(kept if len(kept) <= lines else [*kept[:lines], ELLIPSIS])
    return f"```{_fitted(text, {**_ESCAPED, **_NO_CODE}, most)}```" if text else ""


def phrased(sentence: object, most: int = 800) -> str:
    """A sentence of ours with `code` in it; data in either part is escaped for that part."""
    parts = _printable(sentence).split("`")
    if len(parts) % 2 == 0:
        return plain(sentence, most)
    # The blanks around code are the sentence's own.
    safe = [
        code(part) if odd % 2 else f"{' ' * part.startswith(' ')}{plain(part, most)}{' ' * part.endswith(' ')}"
        for odd, part in enumerate(parts)
    ]
    return cut("".join(safe).strip(), most)


def link(label: str, url: object) -> str:
    """A link; empty if `url` is no web address."""
    address = _printable(url).strip()
    if not address.startswith(("http://", "https://")) or len(address) > _URL:
        return ""
    address = quote(address, safe="%/:=&?#+!$,;@()[].-_")
    return f"<{address.replace('&', '&amp;')}|{plain(label)}>" if len(address) <= _URL else ""


def segment(value: object) -> str:
    """Data as one segment of an address."""
    return quote(_printable(value), safe="")


def section(text: str) -> list[dict[str, Any]]:
    """A list of one block; empty for blank text."""
    return [{"type": "section", "text": _mrkdwn(text, _TEXT)}] if text.strip() else []


def bullets(title: str, lines: Sequence[str], most: int = 20) -> list[dict[str, Any]]:
    """A titled list. No line is cut; the last one says how many did not fit."""
    shown: list[str] = []
    length = _length(title) + 40
    for line in lines[:most]:
        length += _length(line) + 3
        if length > _TEXT:
            break
        shown.append(f"• {line}")
    if len(shown) < len(lines):
        shown.append(f"and {len(lines) - len(shown)} more")
    return section("\n".join([f"*{title}*", *shown])) if lines else []


def context(text: str) -> list[dict[str, Any]]:
    """A line in small print."""
    return [{"type": "context", "elements": [_mrkdwn(text, _TEXT)]}] if text.strip() else []


def within_limits(blocks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many blocks as Slack takes, by number and by total size; an ellipsis stands for the rest."""
    kept: list[dict[str, Any]] = []
    for each in blocks:
        if len(kept) == _BLOCKS - 1 or len(json.dumps([*kept, each], ensure_ascii=False)) > _ALL_BLOCKS:
            return [*kept, *context(ELLIPSIS)]
        kept.append(each)
    return kept


def cut(text: str, most: int) -> str:
    """At most `most` characters as Slack counts them, visibly shortened, never in the middle of an escape."""
    if _length(text) <= most:
        return text
    kept = text[:most]
    while _length(kept) > most - 1:
        kept = kept[:-1]
    return f"{_HALF_AN_ESCAPE.sub('', kept)}{ELLIPSIS}"


def _mrkdwn(text: str, most: int) -> dict[str, Any]:
    # Verbatim: Slack makes no links or mentions from the data.
    return {"type": "mrkdwn", "text": cut(text, most), "verbatim": True}


def _fitted(text: str, replaced: dict[str, str], most: int) -> str:
    pieces = [replaced.get(character, character) for character in text[: most + 1]]
    if _length("".join(pieces)) <= most:
        return "".join(pieces)
    length, kept = 1, []
    for piece in pieces:
        length += _length(piece)
        if length > most:
            break
        kept.append(piece)
    return f"{''.join(kept)}{ELLIPSIS}"


def _printable(value: object) -> str:
    """Without control characters, lone surrogates and marks that change the reading direction; line breaks stay."""
    return "".join(
        character
        for character in str("" if value is None else value)[:_LONGEST_DATA].replace("\t", " ")
        if character == "\n" or unicodedata.category(character)[0] != "C"
    )


def _length(text: str) -> int:
    """Slack counts as JavaScript does: a character beyond the first plane is two."""
    return sum(2 if ord(character) > _FIRST_PLANE else 1 for character in text)
