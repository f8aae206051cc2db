"""The page's overview for people: can on-call trust the silence, and which incidents are open."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import date

from retrain.alerts.incident import Incident
from retrain.alerts.message import plain_text
from retrain.alerts.message.clock import shown
from retrain.alerts.silences import Silence
from retrain.alerts.watch.health import WatchHealth
from retrain.alerts.watch.page.html_page import html_list, reasons
from retrain.alerts.watch.page.waiting import signals_waiting
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState
from retrain.alerts.watch.watch import Watch

_NEWEST = 100  # incidents whose message is rendered for its first line
_ENDED = 10


def overview(watch: Watch) -> str:
    """The body of the page, as HTML."""
    state, verdict = watch.state, _verdict(watch.health())
    newest_first = [*reversed(state.book.incidents())]
    titles = {incident.id: _first_line(state, incident) for incident in newest_first[:_NEWEST]}
    ended = [incident for incident in newest_first[:_NEWEST] if not incident.open][:_ENDED]
    today = state.now().date()
    count, age = signals_waiting(state.outbox)
    sections = {
        "Open": _open(state, newest_first, titles, today),
        "Ended": html_list(
            f"{html.escape(titles[i.id])}<br><small>{html.escape(shown(i.resolved_at))}</small>" for i in ended
        ),
        "Silences": html_list(_silence(silence, today) for silence in state.configuration.silences.entries),
        "Parts": html_list(_part(part) for part in watch.parts.values()),
        "Signals that wait": f"<p>{count}{f', the oldest for {age:.0f} s' if count else ''}</p>",
    }
    body = "".join(f"<h2>{title}</h2>{content}" for title, content in sections.items())
    return f'{verdict}{body}<p><a href="/runbooks">Runbooks</a></p>'


def _verdict(health: WatchHealth) -> str:
    said = '<p class="well">Messages can be delivered: silence means that nothing is wrong.</p>'
    if health.problems:
        said = f'<p class="unwell">Messages cannot be delivered. Some may be missing.</p>{reasons(health.problems)}'
    if health.attention:
        said += f"<p>Worth a look; no message is kept back:</p>{reasons(health.attention)}"
    return said


def _first_line(state: WatchState, incident: Incident) -> str:
    return plain_text.to_text(state.rendering.top(incident)).split("\n", 1)[0]


def _open(state: WatchState, incidents: Sequence[Incident], titles: dict[str, str], today: date) -> str:
    return html_list(
        f"{html.escape(titles.get(i.id, i.id))}<br><small>since {html.escape(shown(i.opened_at))}"
        f"{' · silenced' if state.configuration.is_silenced(i, today) else ''}"
        f"{'' if state.slack_marks.of(i.id).ts else ' · not in Slack'}"
        f' · <a href="/runbooks/{i.key.kind}">runbook</a></small>'
        for i in incidents
        if i.open
    )


def _silence(silence: Silence, today: date) -> str:
    subject = html.escape(f", {silence.subject}" if silence.subject else "")
    return (
        f"{html.escape(silence.pipeline)}, {silence.kind}{subject}: {html.escape(silence.reason)}"
        f"<br><small>until {silence.expires}{'' if silence.in_force(today) else ' (not today)'}</small>"
    )


def _part(part: Part) -> str:
    ago = "not yet" if part.seconds_ago is None else f"{part.seconds_ago:.0f} s ago"
    return f'<span class="{"unwell" if part.trouble else "well"}">{html.escape(part.name)}</span> <small>{ago}</small>'
