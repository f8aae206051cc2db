"""The sections of incidents: those that are open, as cards, and those that ended, as a table."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime

from retrain.alerts.message.clock import shown
from retrain.alerts.watch.page.html_page import badge, empty, faint, section, table
from retrain.alerts.watch.page.moments import lasted, when
from retrain.alerts.watch.page.mrkdwn_html import anchor, blocks_to_html, inline_html, links_of, text_html
from retrain.alerts.watch.page.view import IncidentLine, OpenIncident, Overview, Tone, Whereabouts


def open_section(view: Overview) -> str:
    """The open incidents, the most urgent first and the silenced last."""
    if not view.open:
        said = "Nothing is open. " + (
            "Every problem that the watch knows of has ended."
            if view.delivers
            else "But see above: something may be missing."
        )
        return section("open", "Open", empty(said), count=0)
    cards = "".join(_card(known, view.now) for known in view.open)
    return section("open", "Open", f'<div class="cards">{cards}</div>', count=len(view.open))


def ended_section(view: Overview) -> str:
    """The incidents that ended last."""
    if not view.ended:
        return section("ended", "Recently ended", empty("No incident has ended in the last 90 days."))
    note = f'<p class="faint">The newest {len(view.ended)} of {view.ended_count} in the last 90 days.</p>'
    more = note if view.ended_count > len(view.ended) else ""
    rows = [_ended(line, view.now) for line in view.ended]
    columns = ("Incident", "Lasted", "How it ended", "Message")
    return section("ended", "Recently ended", table("Recently ended incidents", columns, rows) + more)


def told(whereabouts: Whereabouts, timezone: str, *, began: str = "") -> str:
    """Where an incident's message is, as HTML: Slack first, then the second channel if there is one.

    `began` is a moment that stands before it: one that is the same to the minute is not repeated.
    """
    if whereabouts.slack_since:
        at_once = began and shown(whereabouts.slack_since) == shown(began)
        said = f"In Slack since {'then' if at_once else when(whereabouts.slack_since, timezone)}."
    else:
        said = f"Not in Slack: {html.escape(whereabouts.slack_lacks)}"
    if not whereabouts.second_of:
        return said
    took, of = whereabouts.second_took, whereabouts.second_of
    if of == 1:
        return f"{said} Second channel: {'delivered' if took else 'not delivered'}."
    return f"{said} Second channel: {took} of {of} addresses."


def links(mrkdwn: str, line: IncidentLine, *, root: str = "") -> str:
    """The links of an incident: log, runs, runbook, the message in Slack."""
    offered = [*links_of(mrkdwn), f'<a href="{root}runbooks/{line.kind}">Runbook</a>']
    if line.whereabouts.slack_url:
        offered.append(anchor(line.whereabouts.slack_url, "Message in Slack"))
    return f'<ul class="links">{"".join(f"<li>{each}</li>" for each in offered)}</ul>'


def _card(known: OpenIncident, now: datetime) -> str:
    line = known.line
    quiet = " quiet" if known.silenced else ""
    badges = [badge(known.urgency, known.tone), badge(known.cause, Tone.CALM) if known.cause else ""]
    badges += [badge("Silenced", Tone.CALM) if known.silenced else ""]
    badges += [badge("Not in Slack", Tone.LOOK) if not line.whereabouts.slack_since and not known.silenced else ""]
    effect = inline_html(" ".join(filter(None, (known.impact, known.standing))))
    todo = f'<div class="next"><h4>Next</h4><p>{inline_html(known.next_action)}</p></div>' if known.next_action else ""
    evidence = blocks_to_html(known.evidence)
    opened = " open" if known.tone is Tone.BAD and not known.silenced else ""
    since = (
        f"Since {when(line.opened_at, line.timezone)}. {told(line.whereabouts, line.timezone, began=line.opened_at)}"
    )
    return (
        f'<article class="card {known.tone}{quiet}" aria-labelledby="i-{line.key}">'
        f'<h3 id="i-{line.key}"><a href="incidents/{line.key}">{text_html(line.title)}</a></h3>'
        f"<p><strong>Open for {lasted(line.opened_at, now)}</strong>, {html.escape(line.pipeline)}</p>"
        f'<ul class="badges">{_items(badges)}</ul>'
        f"{f'<p>{effect}</p>' if effect else ''}"
        f"{f'<details{opened}><summary>Evidence</summary>{evidence}</details>' if evidence else ''}"
        f"{todo}{blocks_to_html(known.missing)}"
        f"{links(known.links, line)}"
        f"{faint(text_html(known.silenced)) if known.silenced else ''}"
        f"{faint(since)}</article>"
    )


def _items(items: Sequence[str]) -> str:
    return "".join(f"<li>{item}</li>" for item in items if item)


def _ended(line: IncidentLine, now: datetime) -> tuple[str, str, str, str]:
    missing = f"<br>Still without a model: {text_html(', '.join(line.missing))}." if line.missing else ""
    slack = anchor(line.whereabouts.slack_url, "in Slack") if line.whereabouts.slack_url else ""
    at = f"{when(line.resolved_at, line.timezone)}, {lasted(line.resolved_at, now)} ago"
    return (
        f'<a href="incidents/{line.key}">{text_html(line.title)}</a><br><small>{html.escape(line.pipeline)}</small>',
        f'<span class="date">{lasted(line.opened_at, line.resolved_at)}</span>',
        f"{inline_html(line.ended)}.{missing}<br><small>{at}</small>",
        slack or told(line.whereabouts, line.timezone),
    )
