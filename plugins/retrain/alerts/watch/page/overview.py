"""The page's overview for people: can on-call trust the silence, and what is open."""

from __future__ import annotations

from starlette.responses import Response

from retrain.alerts.watch.page.html_page import html_page
from retrain.alerts.watch.page.incident_sections import ended_section, open_section
from retrain.alerts.watch.page.status_sections import delivery_section, part_section, silence_section
from retrain.alerts.watch.page.verdict_section import verdict_section
from retrain.alerts.watch.page.view import Overview

RELOAD = 60  # seconds
_MENU = {
    "Open": "#open",
    "Silences": "#silences",
    "Delivery": "#delivery",
    "Ended": "#ended",
    "Parts": "#parts",
    "Runbooks": "runbooks",
}


def overview_page(view: Overview, *, reload: bool = True) -> Response:
    """The page. With `reload` the browser loads it again every minute."""
    sections = (verdict_section, open_section, silence_section, delivery_section, ended_section, part_section)
    body = "".join(section(view) for section in sections)
    footer = _footer(view, reload=reload)
    return html_page(_title(view), body, menu=_MENU, footer=footer, reload=RELOAD if reload else None)


def _title(view: Overview) -> str:
    if not view.delivers:
        return "Cannot deliver · Alerts"
    return f"{len(view.open)} open · Alerts" if view.open else "Alerts"


def _footer(view: Overview, *, reload: bool) -> str:
    again = (
        'It reloads itself every minute: <a href="./?reload=no">stop that</a>.'
        if reload
        else 'It does not reload itself: <a href="./">do that every minute</a>.'
    )
    return (
        f"<p>This page shows what the watch knew at {view.now:%Y-%m-%d %H:%M:%S} UTC. {again}</p>"
        '<p>For machines: <a href="health">health</a>, <a href="metrics">metrics</a>.</p>'
    )
