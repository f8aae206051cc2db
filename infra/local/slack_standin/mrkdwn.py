"""Slack's text markup (mrkdwn), rendered as HTML or as the plain text of a notification.

Grammar: https://docs.slack.dev/messaging/formatting-message-text. Everything that is not markup is escaped, so a message can
never add an element of its own to the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

_PREFORMATTED = re.compile(r"```\n?(.+?)\n?```", re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_CONTROL = re.compile(r"<([^<>\n]+)>")
_PING = re.compile(r"!(?:channel|here|everyone|subteam\^)|@[UW]")
_BARE_LINK = re.compile(r"https?://[^\s<>|*`\ue000\ue001]*[^\s<>|*`.,;:!?)'\"\ue000\ue001]")
_EMOJI = re.compile(r":([a-z0-9_+-]+):")
_SHELVED = re.compile("\ue000(\\d+)\ue001")
_QUOTED = re.compile(r"^&gt; ?")
_STYLES = tuple(
    (re.compile(rf"(?<![\w{mark}])\{mark}(?=\S)([^{mark}\n]*?\S)\{mark}(?![\w{mark}])"), tag)
    for mark, tag in (("*", "b"), ("_", "i"), ("~", "s"))
)
# A quote and a preformatted block start on a new line anyway: no <br> beside them.
_BREAK_AT_BOX = re.compile(r"(</blockquote>|</pre>)<br>|<br>(?=(<blockquote>|<pre>))")
_LINK_SCHEMES = ("http://", "https://", "mailto:")

EMOJI = {
    "arrow_up": "⬆️",
    "arrow_down": "⬇️",
    "arrows_counterclockwise": "🔄",
    "bell": "🔔",
    "broom": "🧹",
    "chart_with_downwards_trend": "📉",
    "chart_with_upwards_trend": "📈",
    "bar_chart": "📊",
    "eyes": "👀",
    "fire": "🔥",
    "hourglass": "⌛",
    "information_source": "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}",
    "large_green_circle": "🟢",
    "large_blue_circle": "🔵",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "lock": "🔒",
    "mag": "🔍",
    "no_entry": "⛔",
    "octagonal_sign": "🛑",
    "package": "📦",
    "red_circle": "🔴",
    "rocket": "🚀",
    "rotating_light": "🚨",
    "shield": "🛡️",
    "stopwatch": "⏱️",
    "tada": "🎉",
    "taxi": "🚕",
    "trophy": "🏆",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "wrench": "🔧",
    "x": "❌",
}


def to_html(text: str) -> str:
    """Render mrkdwn: *bold*, _italic_, ~strike~, `code`, ```block```, > quote, <url|label>, mentions, :emoji:."""
    shelf: list[str] = []

    def shelve(render: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
        def put_away(match: re.Match[str]) -> str:
            shelf.append(render(match))
            return f"\ue000{len(shelf) - 1}\ue001"

        return put_away

    # Rendered parts are replaced by numbered private characters until the end, so that the styles do not touch them.
    text = text.replace("\ue000", "").replace("\ue001", "")
    text = _PREFORMATTED.sub(shelve(lambda match: f"<pre>{_links_only(match[1])}</pre>"), text)
    text = _CODE.sub(shelve(lambda match: f"<code>{_links_only(match[1])}</code>"), text)
    text = _CONTROL.sub(shelve(lambda match: _control_html(match[1])), text)
    text = _BARE_LINK.sub(shelve(lambda match: _link(_decoded(match[0]), _decoded(match[0]))), text)
    text = _escaped(text)
    for pattern, tag in _STYLES:
        text = pattern.sub(rf"<{tag}>\1</{tag}>", text)
    text = _EMOJI.sub(lambda match: EMOJI.get(match[1], match[0]), text)
    text = _quotes_and_lines(text)
    while _SHELVED.search(text):
        text = _SHELVED.sub(lambda match: shelf[int(match[1])], text)
    return _BREAK_AT_BOX.sub(lambda match: match[1] or "", text)


def to_plain(text: str) -> str:
    """The text as a notification shows it: without markup, links by their labels."""
    text = _PREFORMATTED.sub(r"\1", text)
    text = _CODE.sub(r"\1", text)
    text = _CONTROL.sub(lambda match: _control_plain(match[1]), text)
    for pattern, _ in _STYLES:
        text = pattern.sub(r"\1", text)
    return _EMOJI.sub(lambda match: EMOJI.get(match[1], match[0]), _decoded(text))


def plain_to_html(text: str) -> str:
    """Render a plain_text object: emoji and line breaks, no other markup."""
    return _EMOJI.sub(lambda match: EMOJI.get(match[1], match[0]), html.escape(text)).replace("\n", "<br>")


def pings(message: Mapping[str, Any]) -> list[str]:
    """The mentions that notify people (@channel, @here, users, groups) in a message's text, blocks and attachments."""
    return [ping for part in ("text", "blocks", "attachments") for ping in _pings(message.get(part))]


def _pings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [_control_label(match[1])[1] for match in _CONTROL.finditer(value) if _PING.match(match[1])]
    if isinstance(value, list):
        return [ping for item in value for ping in _pings(item)]
    if not isinstance(value, Mapping) or value.get("type") == "plain_text":
        return []
    called = value.get("range") or value.get("user_id") or value.get("usergroup_id")
    return [f"@{called}"] if called else [ping for item in value.values() for ping in _pings(item)]


def _decoded(text: str) -> str:
    # Slack knows only these three escapes.
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _escaped(text: str) -> str:
    return html.escape(_decoded(text))


def _links_only(text: str) -> str:
    parts = _CONTROL.split(text)
    return "".join(_control_html(part) if odd % 2 else _escaped(part) for odd, part in enumerate(parts))


def _control_label(content: str) -> tuple[str, str]:
    """Kind and label of <target|label>, with Slack's default label where none is given."""
    target, _, label = content.partition("|")
    if target.startswith("!subteam^"):
        return "mention", label or "@group"
    if target.startswith("!date^"):
        return "date", label
    if target.startswith("!"):
        return "mention", f"@{target[1:]}"
    if target.startswith("@"):
        return "mention", f"@{label or target[1:]}"
    if target.startswith("#"):
        return "mention", f"#{label or target[1:]}"
    return "link", _decoded(label or target.removeprefix("mailto:"))


def _control_plain(content: str) -> str:
    kind, label = _control_label(content)
    return f"<{content}>" if kind == "link" and not content.startswith(_LINK_SCHEMES) else label


def _control_html(content: str) -> str:
    kind, label = _control_label(content)
    if kind == "mention":
        ping = " ping" if _PING.match(content) else ""
        return f'<span class="mention{ping}">{html.escape(label)}</span>'
    if kind == "date":
        return html.escape(label)
    target = _decoded(content.partition("|")[0])
    if not target.startswith(_LINK_SCHEMES):
        return html.escape(f"<{_decoded(content)}>")
    return _link(target, label)


def _link(target: str, label: str) -> str:
    return f'<a href="{html.escape(target)}" rel="noreferrer">{html.escape(label)}</a>'


def _quotes_and_lines(text: str) -> str:
    rendered: list[str] = []
    quoted: list[str] = []

    def close_quote() -> None:
        if quoted:
            rendered.append(f"<blockquote>{'<br>'.join(quoted)}</blockquote>")
            quoted.clear()

    for line in text.split("\n"):
        if _QUOTED.match(line):
            quoted.append(_QUOTED.sub("", line))
        else:
            close_quote()
            rendered.append(line)
    close_quote()
    return "<br>".join(rendered)
