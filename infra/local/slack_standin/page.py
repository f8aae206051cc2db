"""The readers' page: a channel's messages as HTML, the way Slack's client lays them out. Pure: data in, text out."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from slack_standin.mrkdwn import EMOJI, plain_to_html, to_html, to_plain
from slack_standin.store import Message, is_reply

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' https: http://127.0.0.1:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_COLORS = {"good": "#2eb886", "warning": "#daa038", "danger": "#a30200"}
_COLOR = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_NOTIFICATIONS_SHOWN = 4
_LINK_SCHEMES = ("http://", "https://", "mailto:")


# By message time, what each message said: as posted, then after each update.
Versions = Mapping[str, Sequence[Mapping[str, Any]]]


def render_page(
    channel: str, channels: Sequence[str], messages: Sequence[Message], versions: Versions, revision: int
) -> str:
    """Render a channel. `messages` holds replies too, oldest first; `revision` tells the page when to reload."""
    roots = [message for message in messages if not is_reply(message)]
    menu = "".join(
        f'<a class="channel{" chosen" if name == channel else ""}" href="/?channel={html.escape(name)}">'
        f'<span class="hash">#</span>{html.escape(name)}</a>'
        for name in channels
    )
    head = _head(f"#{html.escape(channel)} - Retrain (local) - Slack stand-in")
    return f"""{head}
<script src="/page.js" defer></script>
</head>
<body data-revision="{revision}">
<nav><div class="workspace">Retrain (local)</div><div class="group">Channels</div>{menu}
<p class="about">A stand-in for Slack. It shows what the channel's readers would see.</p></nav>
<main>
<header><h1># {html.escape(channel)}</h1><span>{_count(len(roots), "message")}</span></header>
<div class="stream">{_stream(messages, versions) or '<p class="empty">No message yet.</p>'}</div>
</main>
<aside><h2>On a locked phone</h2>{_lock_screen(channel, messages, versions)}</aside>
</body>
</html>
"""


def render_thread(channel: str, root: Message, replies: Sequence[Message], versions: Versions) -> str:
    """Render one message of a channel with its thread, and above it what a locked phone showed of it."""
    return f"""{_head(f"Thread in #{html.escape(channel)}")}
</head>
<body class="single">
<div class="locked">{_notification(channel, root, versions)}</div>
<header><h1>Thread</h1><span># {html.escape(channel)}</span></header>
{render_message(root, replies, versions, day="")}
</body>
</html>
"""


def _head(title: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css">"""


def _stream(messages: Sequence[Message], versions: Versions) -> str:
    rendered: list[str] = []
    day = ""
    for message in filter(_in_channel, messages):
        posted = _local_time(message["ts"])
        if posted.strftime("%Y-%m-%d") != day:
            day = posted.strftime("%Y-%m-%d")
            label = f"{posted:%A}, {posted:%B} {posted.day}"
            rendered.append(f'<div class="day"><time datetime="{day}">{label}</time></div>')
        if is_reply(message):
            root = next((m for m in messages if m["ts"] == message["thread_ts"]), message)
            start = html.escape(to_plain(str(root.get("text") or ""))[:80])
            link = f'replied to a thread: <a href="#{_anchor(root)}">{start}</a>'
            rendered.append(render_message(message, (), versions, origin=link))
        else:
            replies = [m for m in messages if is_reply(m) and m["thread_ts"] == message["ts"]]
            rendered.append(render_message(message, replies, versions))
    return "".join(rendered)


def render_message(
    message: Message,
    replies: Sequence[Message] = (),
    versions: Versions | None = None,
    *,
    day: str | None = None,
    origin: str = "",
) -> str:
    """Render a message with the replies of its thread under it.

    Times of another `day` than this one (YYYY-MM-DD; its own if None) carry their date. `origin` (HTML) marks a copy of a
    reply in the channel.
    """
    name = str(message.get("bot_profile", {}).get("name") or "App")
    posted = _local_time(message["ts"])
    day = f"{posted:%Y-%m-%d}" if day is None else day
    icon = EMOJI.get(str(message.get("icons", {}).get("emoji", "")).strip(":"))
    avatar = html.escape(icon or name[:1].upper())
    parts = [
        _body(message),
        "".join(_attachment(attachment) for attachment in message.get("attachments") or []),
        _updates(message, versions or {}, day),
        "".join(_file(file) for file in message.get("files") or []),
        _reactions(message),
    ]
    thread = ""
    if replies:
        inner = "".join(render_message(reply, (), versions, day=day) for reply in replies)
        count = _count(len(replies), "reply", "replies")
        thread = f'<section class="thread"><div class="count">{count}</div>{inner}</section>'
    broadcast = "also sent to the channel" if is_reply(message) and _in_channel(message) else ""
    place = f'<div class="origin">{origin or broadcast}</div>' if origin or broadcast else ""
    anchor = "" if origin else f' id="{_anchor(message)}"'
    return (
        f'<article{anchor}><div class="avatar{" icon" if icon else ""}">{avatar}</div>'
        f'<div class="content"><div class="byline"><b>{html.escape(name)}</b><span class="app">APP</span>'
        f'<time datetime="{posted.isoformat()}" title="{posted:%Y-%m-%d %H:%M:%S}">{_clock(posted, day)}</time></div>'
        f"{place}{''.join(parts)}{thread}</div></article>"
    )


def _body(message: Message) -> str:
    # A message with blocks shows its text in notifications alone.
    if message.get("blocks"):
        return render_blocks(message["blocks"])
    if message.get("text"):
        # Slack marks an edited text, and not edited blocks.
        edited = ' <span class="edited">(edited)</span>' if message.get("edited") else ""
        return f'<div class="text">{to_html(message["text"])}{edited}</div>'
    return ""


def _updates(message: Message, versions: Versions, day: str) -> str:
    """Say how often and when a message was updated: Slack doesn't, who judges the messages wants to know."""
    times = [_local_time(version["at"]) for version in versions.get(message["ts"], ())[1:]]
    if not times:
        return ""
    return (
        f'<div class="note" title="{", ".join(f"{at:%Y-%m-%d %H:%M:%S}" for at in times)}">'
        f"edited {_count(len(times), 'time')}, last {_clock(times[-1], day)}</div>"
    )


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


def _attachment(attachment: Mapping[str, Any]) -> str:
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


def _file(file: Mapping[str, Any]) -> str:
    title, url = html.escape(str(file["title"])), html.escape(f"/files/{file['id']}/{file['name']}")
    if str(file["mimetype"]).startswith("image/"):
        alt = html.escape(str(file.get("alt_txt") or file["title"]))
        return f'<figure><div class="title">{title}</div><a href="{url}"><img src="{url}" alt="{alt}"></a></figure>'
    return f'<a class="file" href="{url}"><b>{title}</b><span>{int(file["size"]):,} bytes</span></a>'


def _reactions(message: Message) -> str:
    rendered = "".join(
        f'<span class="reaction">{EMOJI.get(r["name"], ":" + html.escape(r["name"]) + ":")} {int(r["count"])}</span>'
        for r in message.get("reactions") or []
    )
    return f'<div class="reactions">{rendered}</div>' if rendered else ""


def _lock_screen(channel: str, messages: Sequence[Message], versions: Versions) -> str:
    # A reply within a thread and an update ring no phone.
    ringing = [message for message in messages if _in_channel(message)]
    shown = [_notification(channel, message, versions) for message in reversed(ringing[-_NOTIFICATIONS_SHOWN:])]
    newest = _local_time(ringing[-1]["ts"]) if ringing else datetime.now().astimezone()
    clock = f'<div class="clock">{newest:%H:%M}</div><div class="date">{newest:%A}, {newest:%B} {newest.day}</div>'
    return f'<div class="phone">{clock}{"".join(shown)}</div>'


def _notification(channel: str, message: Message, versions: Versions) -> str:
    name = str(message.get("bot_profile", {}).get("name") or "App")
    as_posted = next(iter(versions.get(message["ts"], ())), message)
    text = to_plain(str(as_posted.get("text") or "")) or _without_text(message)
    return (
        f'<div class="notification"><div class="from"><span class="logo">#</span>SLACK'
        f"<time>{_clock(_local_time(message['ts']))}</time></div><b>#{html.escape(channel)}</b>"
        f"<p>{html.escape(name)}: {html.escape(text)}</p></div>"
    )


def _in_channel(message: Message) -> bool:
    return not is_reply(message) or message.get("subtype") == "thread_broadcast"


def _anchor(message: Message) -> str:
    return f"p{message['ts'].replace('.', '')}"


def _without_text(message: Message) -> str:
    return "shared a file" if message.get("files") else "This content can't be displayed."


def _local_time(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts)).astimezone()


def _clock(moment: datetime, day: str | None = None) -> str:
    date = f"{moment:%b} {moment.day}, " if day not in (None, f"{moment:%Y-%m-%d}") else ""
    return f"{date}{moment.hour % 12 or 12}:{moment:%M} {moment:%p}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


_BLOCKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "actions": lambda block: f'<div class="actions">{_elements(block)}</div>',
    "context": lambda block: f'<div class="context">{_elements(block)}</div>',
    "divider": lambda _: "<hr>",
    "header": lambda block: f"<h3>{_text(block['text'])}</h3>",
    "image": _image_block,
    "rich_text": lambda block: "".join(_rich_text(element) for element in block["elements"]),
    "section": _section,
}
