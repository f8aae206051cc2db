"""The page of a channel or a thread as HTML, laid out as in Slack's client."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from slack_standin.blocks import render_attachment, render_blocks
from slack_standin.mrkdwn import EMOJI, to_html, to_plain
from slack_standin.store import Message, is_reply

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' https: http://127.0.0.1:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NOTIFICATIONS_SHOWN = 4

# Message time -> the versions of that message: as posted, then after each update.
Versions = Mapping[str, Sequence[Mapping[str, Any]]]


def render_page(
    channel: str, channels: Sequence[str], messages: Sequence[Message], versions: Versions, revision: int
) -> str:
    """Render a channel. `messages` includes replies, oldest first; the page reloads when `revision` changes."""
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
<p class="about">A stand-in for Slack. It shows the channel as its readers would see it.</p></nav>
<main>
<header><h1># {html.escape(channel)}</h1><span>{_count(len(roots), "message")}</span></header>
<div class="stream">{_stream(messages, versions) or '<p class="empty">No message yet.</p>'}</div>
</main>
<aside><h2>On a locked phone</h2>{_lock_screen(channel, messages, versions)}</aside>
</body>
</html>
"""


def render_thread(channel: str, root: Message, replies: Sequence[Message], versions: Versions) -> str:
    """Render one message of a channel with its thread, below the notification that a locked phone showed."""
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

    Times on another day than `day` (YYYY-MM-DD; None: the message's own day) are shown with their date. `origin` (HTML) is
    the line above a reply that was also sent to the channel.
    """
    name = str(message.get("bot_profile", {}).get("name") or "App")
    posted = _local_time(message["ts"])
    day = f"{posted:%Y-%m-%d}" if day is None else day
    icon = EMOJI.get(str(message.get("icons", {}).get("emoji", "")).strip(":"))
    avatar = html.escape(icon or name[:1].upper())
    parts = [
        _body(message),
        "".join(render_attachment(attachment) for attachment in message.get("attachments") or []),
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
    # The text of a message with blocks is shown in notifications only.
    if message.get("blocks"):
        return render_blocks(message["blocks"])
    if message.get("text"):
        # Slack marks an edited text, but not edited blocks.
        edited = ' <span class="edited">(edited)</span>' if message.get("edited") else ""
        return f'<div class="text">{to_html(message["text"])}{edited}</div>'
    return ""


def _updates(message: Message, versions: Versions, day: str) -> str:
    """How often and when a message was updated. Slack does not show this; a reviewer of the messages needs it."""
    times = [_local_time(version["at"]) for version in versions.get(message["ts"], ())[1:]]
    if not times:
        return ""
    return (
        f'<div class="note" title="{", ".join(f"{at:%Y-%m-%d %H:%M:%S}" for at in times)}">'
        f"edited {_count(len(times), 'time')}, last {_clock(times[-1], day)}</div>"
    )


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
    # A phone does not ring for a reply within a thread, or for an update.
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
    fallback = next((each["fallback"] for each in message.get("attachments") or () if each.get("fallback")), None)
    if fallback:
        return to_plain(str(fallback))
    return "shared a file" if message.get("files") else "This content can't be displayed."


def _local_time(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts)).astimezone()


def _clock(moment: datetime, day: str | None = None) -> str:
    date = f"{moment:%b} {moment.day}, " if day not in (None, f"{moment:%Y-%m-%d}") else ""
    return f"{date}{moment.hour % 12 or 12}:{moment:%M} {moment:%p}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
