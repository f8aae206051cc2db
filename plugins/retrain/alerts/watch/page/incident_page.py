"""The page of one incident: its message as it is now, and its whole thread in order."""

from __future__ import annotations

import html
from urllib.parse import quote

from starlette.responses import Response

from retrain.alerts.watch.page.html_page import badge, faint, html_page
from retrain.alerts.watch.page.incident_sections import told
from retrain.alerts.watch.page.moments import lasted, when
from retrain.alerts.watch.page.mrkdwn_html import anchor, blocks_to_html, text_html
from retrain.alerts.watch.page.view import IncidentThread, ThreadEntry, Tone

_ROOT = "../"


def incident_page(thread: IncidentThread) -> Response:
    """The page. It does not reload itself: it is read, and copied from."""
    line = thread.line
    if line.resolved_at:
        state = badge("Ended", Tone.GOOD)
        time = f"Lasted {lasted(line.opened_at, line.resolved_at)}, until {when(line.resolved_at, line.timezone)}"
    else:
        state = badge("Open", Tone.LOOK)
        time = f"Open for {lasted(line.opened_at, thread.now)}"
    silenced = f"<p>{text_html(thread.silenced)}</p>" if thread.silenced else ""
    slack = f" {anchor(line.whereabouts.slack_url, 'Open it in Slack')}." if line.whereabouts.slack_url else ""
    entries = "".join(f"<li>{_entry(thread, entry)}</li>" for entry in thread.entries)
    body = (
        f"<h1>{text_html(line.title)}</h1><p>{state} <strong>{time}</strong> "
        f'<span class="faint">· since {when(line.opened_at, line.timezone)} · {html.escape(line.pipeline)}</span></p>'
        f"{silenced}{faint(told(line.whereabouts, line.timezone, began=line.opened_at) + slack)}"
        f'<section aria-labelledby="now"><h2 id="now">The message now</h2><div class="box">{blocks_to_html(thread.message)}</div></section>'
        f'<section aria-labelledby="thread"><h2 id="thread">Its thread <span class="count">({len(thread.entries)})</span></h2>'
        + (f'<ol class="thread">{entries}</ol>' if entries else '<p class="empty">Nothing has been added yet.</p>')
        + "</section>"
    )
    menu = {"All alerts": _ROOT, "Runbook": f"{_ROOT}runbooks/{line.kind}"}
    footer = (
        f"<p>This page shows what the watch knew at {thread.now:%Y-%m-%d %H:%M:%S} UTC. Load it again to see newer.</p>"
    )
    return html_page(f"{line.title} · Alerts", body, root=_ROOT, menu=menu, footer=footer)


def _entry(thread: IncidentThread, entry: ThreadEntry) -> str:
    pictures = "".join(
        f'<figure><img src="{thread.line.key}/pictures/{quote(name, safe="")}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for name, caption in entry.pictures
    )
    slack = f"In Slack since {when(entry.in_slack, thread.line.timezone)}." if entry.in_slack else "Not in Slack."
    return f'<article class="card">{blocks_to_html(entry.message)}{pictures}{faint(slack)}</article>'
