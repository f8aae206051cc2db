"""The structured parts of a message (blocks, attachments) as HTML, laid out as in Slack's client."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slack_standin.mrkdwn import EMOJI, plain_to_html, to_html

_COLORS = {"good": "#2eb886", "warning": "#daa038", "danger": "#a30200"}
_COLOR = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_LINK_SCHEMES = ("http://", "https://", "mailto:")


def render_blocks(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Render Block Kit blocks."""
    return f'<div class="blocks">{"".join(_block(block) for block in blocks)}</div>'


def _block(block: Mapping[str, Any]) -> str:
    render = _BLOCKS.get(str(block.get("type")))
    return render(block) if render else f'<pre class="unknown">{html.escape(json.dumps(block))}</pre>'


def _image_block(block: Mapping[str, Any]) -> str:
    title = f'<div class="title">{_text(block["title"])}</div>' if block.get("title") else ""
    return f"<figure>{title}{_image(block)}</figure>"


def _elements(block: Mapping[str, Any]) -> str:
    return "".join(_element(element) for element in block["elements"])


def _section(block: Mapping[str, Any]) -> str:
    text = f'<div class="text">{_text(block["text"])}</div>' if block.get("text") else ""
    fields = "".join(f'<div class="text">{_text(field)}</div>' for field in block.get("fields") or [])
    grid = f'<div class="fields">{fields}</div>' if fields else ""
    if not block.get("accessory"):
        return text + grid
    accessory = f'<div class="accessory">{_element(block["accessory"])}</div>'
    return f'<div class="beside"><div>{text}{grid}</div>{accessory}</div>'


def _element(element: Mapping[str, Any]) -> str:
    if element.get("type") == "image":
        return _image(element)
    if element.get("type") == "button":
        style = html.escape(str(element.get("style", "")))
        label = _text(element["text"])
        url = str(element.get("url", ""))
        if url.startswith(_LINK_SCHEMES):
            return f'<a class="button {style}" href="{html.escape(url)}" rel="noreferrer">{label}</a>'
        return f'<span class="button {style}">{label}</span>'
    return f"<span>{_text(element)}</span>"


def _text(value: Mapping[str, Any]) -> str:
    text = str(value.get("text", ""))
    return to_html(text) if value.get("type") == "mrkdwn" else plain_to_html(text)


def _image(image: Mapping[str, Any]) -> str:
    file = image.get("slack_file") or {}
    url = str(image.get("image_url") or file.get("url") or f"/files/{file.get('id', '')}/picture")
    if not url.startswith(("http://", "https://", "/files/")):
        url = "/files/none"
    return f'<img src="{html.escape(url)}" alt="{html.escape(str(image.get("alt_text", "")))}">'


def _rich_text(element: Mapping[str, Any]) -> str:
    inner = element.get("elements") or []
    match element.get("type"):
        case "rich_text_list":
            tag = "ol" if element.get("style") == "ordered" else "ul"
            return f"<{tag}>{''.join(f'<li>{_rich_text(item)}</li>' for item in inner)}</{tag}>"
        case "rich_text_preformatted":
            return f"<pre>{''.join(map(_rich_piece, inner))}</pre>"
        case "rich_text_quote":
            return f"<blockquote>{''.join(map(_rich_piece, inner))}</blockquote>"
        case _:
            return f'<div class="text">{"".join(map(_rich_piece, inner))}</div>'


def _rich_piece(piece: Mapping[str, Any]) -> str:
    style = piece.get("style") or {}
    match piece.get("type"):
        case "link":
            url = str(piece.get("url", ""))
            label = html.escape(str(piece.get("text") or url))
            safe = url.startswith(_LINK_SCHEMES)
            rendered = f'<a href="{html.escape(url)}" rel="noreferrer">{label}</a>' if safe else label
        case "emoji":
            rendered = EMOJI.get(str(piece.get("name")), f":{html.escape(str(piece.get('name')))}:")
        case "channel":
            rendered = f'<span class="mention">#{html.escape(str(piece.get("channel_id")))}</span>'
        case "broadcast" | "user" | "usergroup" as kind:
            called = html.escape(str(piece.get("range") or piece.get(f"{kind}_id")))
            rendered = f'<span class="mention ping">@{called}</span>'
        case _:
            rendered = html.escape(str(piece.get("text", ""))).replace("\n", "<br>")
    for name, tag in (("bold", "b"), ("italic", "i"), ("strike", "s"), ("code", "code")):
        if style.get(name):
            rendered = f"<{tag}>{rendered}</{tag}>"
    return rendered


def render_attachment(attachment: Mapping[str, Any]) -> str:
    """Render a legacy attachment: a bar of its colour beside its texts, its fields and its own blocks."""
    color = str(attachment.get("color") or "")
    color = _COLORS.get(color) or (f"#{color.lstrip('#')}" if _COLOR.fullmatch(color) else "#dddddd")
    inner: list[str] = []
    if attachment.get("author_name"):
        inner.append(f'<div class="author">{html.escape(str(attachment["author_name"]))}</div>')
    if attachment.get("title"):
        title, link = html.escape(str(attachment["title"])), str(attachment.get("title_link") or "")
        if link.startswith(_LINK_SCHEMES):
            title = f'<a href="{html.escape(link)}" rel="noreferrer">{title}</a>'
        inner.append(f'<div class="title">{title}</div>')
    if attachment.get("text"):
        inner.append(f'<div class="text">{to_html(str(attachment["text"]))}</div>')
    fields = "".join(
        f'<div class="text{"" if field.get("short") else " wide"}"><b>{html.escape(str(field.get("title", "")))}</b><br>'
        f"{to_html(str(field.get('value', '')))}</div>"
        for field in attachment.get("fields") or []
    )
    if fields:
        inner.append(f'<div class="fields">{fields}</div>')
    if attachment.get("blocks"):
        inner.append(render_blocks(attachment["blocks"]))
    if attachment.get("image_url"):
        inner.append(_image({"image_url": attachment["image_url"], "alt_text": attachment.get("fallback", "")}))
    if attachment.get("footer"):
        inner.append(f'<div class="context">{html.escape(str(attachment["footer"]))}</div>')
    pretext = f'<div class="text">{to_html(str(attachment["pretext"]))}</div>' if attachment.get("pretext") else ""
    return f'{pretext}<div class="attachment" style="border-color:{color}">{"".join(inner)}</div>'


_BLOCKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "actions": lambda block: f'<div class="actions">{_elements(block)}</div>',
    "context": lambda block: f'<div class="context">{_elements(block)}</div>',
    "divider": lambda _: "<hr>",
    "header": lambda block: f"<h3>{_text(block['text'])}</h3>",
    "image": _image_block,
    "rich_text": lambda block: "".join(_rich_text(element) for element in block["elements"]),
    "section": _section,
}
