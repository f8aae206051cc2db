"""Our messages in Slack's mrkdwn as HTML. Everything in them that is no mark of ours is shown as text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from retrain.alerts.message.plain_text import Content

_BLOCK = re.compile(r"```(.*?)```", re.DOTALL)
_MARK = re.compile(r"`([^`\n]*)`|<((?:https?|mailto):[^|<>]+)(?:\|([^<>]*))?>|(?<!\w)\*([^*\n]+)\*(?!\w)")
_BULLET = "• "
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b(?![-T])")


def blocks_to_html(message: Content) -> str:
    """All blocks of a message, each a paragraph, a list or a block of code; its text if it has no blocks."""
    texts = list(_texts(message.blocks))
    return "".join(map(to_html, texts)) if texts else _paragraphs(message.text)


def to_html(mrkdwn: str) -> str:
    """A text of several lines."""
    pieces = _BLOCK.split(mrkdwn)  # text and code alternate
    return "".join(
        f'<pre tabindex="0"><code>{_escaped(piece)}</code></pre>' if odd % 2 else _paragraphs(piece.strip("\n"))
        for odd, piece in enumerate(pieces)
    )


def inline_html(mrkdwn: str) -> str:
    """A text of one line, without an element around it."""
    out, end = [], 0
    for found in _MARK.finditer(mrkdwn):
        out += [_escaped(mrkdwn[end : found.start()]), _marked(found)]
        end = found.end()
    return "".join([*out, _escaped(mrkdwn[end:])])


def links_of(mrkdwn: str) -> list[str]:
    """The links of a line of links, each as HTML."""
    return [_marked(found) for found in _MARK.finditer(mrkdwn) if found[2] is not None]


def text_html(text: str) -> str:
    """Text in which a date stays on one line: a browser would break it at a hyphen."""
    return _DATE.sub(r'<span class="date">\g<0></span>', html.escape(text))


def anchor(url: str, label: str) -> str:
    """A link to another site; both are text. Only web and mail addresses become links."""
    if not url.startswith(("https://", "http://", "mailto:")):
        return html.escape(label)
    return f'<a href="{html.escape(url)}" rel="noreferrer">{html.escape(label)}</a>'


def _texts(blocks: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for block in blocks:
        for part in (block.get("text"), *(block.get("fields") or ()), *(block.get("elements") or ())):
            if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                yield part["text"]


def _paragraphs(text: str) -> str:
    """Lines that begin with a bullet are a list, the others a paragraph."""
    out = []
    for is_list, lines in groupby(text.split("\n"), lambda line: line.startswith(_BULLET)):
        if is_list:
            items = (inline_html(line.removeprefix(_BULLET)) for line in lines)
            out.append(f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>")
        elif said := "<br>".join(inline_html(line) for line in lines if line.strip()):
            out.append(f"<p>{said}</p>")
    return "".join(out)


def _marked(found: re.Match[str]) -> str:
    code, url, label, bold = found.groups()
    if code is not None:
        return f"<code>{_escaped(code)}</code>"
    if url is not None:
        return anchor(_read(url), _read(label or url))
    return f"<strong>{inline_html(bold)}</strong>"


def _escaped(mrkdwn: str) -> str:
    return text_html(_read(mrkdwn))


def _read(mrkdwn: str) -> str:
    """Slack's three escapes undone."""
    return mrkdwn.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
