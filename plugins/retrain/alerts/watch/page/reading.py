"""Reads the page's facts from a running watch. No server is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from itertools import islice

from retrain.alerts import silences
from retrain.alerts.facts import JudgedFacts
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.message import messages
from retrain.alerts.message.details import details
from retrain.alerts.message.headline import headline
from retrain.alerts.message.impact import end, impact, standing
from retrain.alerts.message.mrkdwn import phrased
from retrain.alerts.message.next_action import next_action
from retrain.alerts.message.plain_text import Plain, to_text
from retrain.alerts.message.trouble import Trouble, newest
from retrain.alerts.silences import Silence
from retrain.alerts.watch.page.view import (
    IncidentLine,
    IncidentThread,
    OpenIncident,
    Overview,
    PartLine,
    SilenceLine,
    ThreadEntry,
    Tone,
)
from retrain.alerts.watch.page.whereabouts import (
    channel_lines,
    second_lines,
    signals_waiting,
    slack_moment,
    whereabouts,
)
from retrain.alerts.watch.watch import Watch
from retrain.errors import Cause

_ENDED = 15  # incidents of "Recently ended"
_URGENCIES = {
    "🔴": (Tone.BAD, "Needs a person now"),
    "🟠": (Tone.BAD, "Needs a person now"),
    "🟡": (Tone.LOOK, "Can wait for the morning"),
}
_IN_PROGRESS = (Tone.CALM, "In progress")
_NO_BLOCKS = Plain("")


def key_of(incident: str) -> str:
    """The name of an incident's page. The id itself has slashes and colons, which proxies rewrite in addresses."""
    return hashlib.sha256(incident.encode()).hexdigest()[:12]


def overview_of(watch: Watch) -> Overview:
    """The facts of the page for people."""
    state, health = watch.state, watch.health()
    now, newest_first = state.now(), [*reversed(state.book.incidents())]
    ended = [incident for incident in newest_first if not incident.open]
    ended.sort(key=lambda incident: incident.resolved_at or "", reverse=True)
    still_open = [_open(watch, incident, now.date()) for incident in newest_first if incident.open]
    # The order in which on-call should read them; within one urgency the newest first.
    still_open.sort(key=lambda known: (bool(known.silenced), list(Tone).index(known.tone)))
    return Overview(
        now=now,
        problems=health.problems,
        attention=health.attention,
        open=still_open,
        ended=[_line(watch, incident, now.date()) for incident in islice(ended, _ENDED)],
        ended_count=len(ended),
        silences=_silences(watch, now.date()),
        invalid_silences=state.configuration.silences.invalid,
        channels=channel_lines(watch),
        second=second_lines(watch),
        waiting=signals_waiting(watch),
        parts=[PartLine(p.name, p.turns, p.seconds_ago, p.every, p.trouble) for p in watch.parts.values()],
    )


def incident_of(watch: Watch, key: str) -> Incident | None:
    """The incident whose page has this key; None if the watch knows none."""
    return next((known for known in watch.state.book.incidents() if key_of(known.id) == key), None)


def thread_of(watch: Watch, incident: Incident) -> IncidentThread:
    """The facts of an incident's own page."""
    state, now = watch.state, watch.state.now()
    mark, silence = state.slack_marks.of(incident.id), _silence_of(watch, incident, now.date())
    channel = state.configuration.channel(incident.key.pipeline) or ""
    thread = state.rendering.thread(incident, channel, mark, silenced=silence is not None)
    entries = [
        ThreadEntry(
            reply.at,
            reply.message(),
            reply.pictures,
            slack_moment(ts) if (ts := mark.replies.get(reply.id)) else None,
        )
        for reply in thread.replies
    ]
    return IncidentThread(now, _line(watch, incident, now.date()), thread.top, entries, _silenced(silence))


def _open(watch: Watch, incident: Incident, today: date) -> OpenIncident:
    line, silenced = _line(watch, incident, today), _silenced(_silence_of(watch, incident, today))
    if _is_unwritten(watch, incident):
        why = watch.state.rendering.unwritten[incident.id]
        said = Plain(f"Its message {why}.")
        return OpenIncident(line, Tone.BAD, "Needs a person now", "", "", "", "", said, _NO_BLOCKS, "", silenced)
    trouble = newest(incident)
    tone, urgency = _URGENCIES.get(trouble.mark, _IN_PROGRESS)
    counted = incident.key.kind is Kind.BACKFILL
    return OpenIncident(
        line,
        tone,
        urgency,
        _cause(trouble),
        impact(trouble),
        "" if counted else standing(trouble, incident.situation),
        phrased(next_action(trouble)),
        messages.Message("", details(trouble, whole=False)),
        messages.Message("", messages.missing_days(incident, trouble)),
        messages.links(trouble, watch.state.settings.addresses, runbook=False),
        silenced,
    )


def _line(watch: Watch, incident: Incident, today: date) -> IncidentLine:
    state, pipeline = watch.state, incident.key.pipeline
    deployment = state.configuration.deployments.get(pipeline)
    silenced = state.configuration.is_silenced(incident, today)
    written = not _is_unwritten(watch, incident)
    trouble = newest(incident) if written else None
    return IncidentLine(
        key_of(incident.id),
        to_text(Plain(headline(trouble, of_pipeline=False))) if trouble else incident.id,
        incident.key.kind,
        pipeline,
        deployment.schedule.timezone if deployment else incident.situation.timezone if incident.situation else "UTC",
        incident.opened_at,
        incident.resolved_at,
        whereabouts(watch, incident, silenced=silenced),
        end(messages.ended_by(incident, trouble)) if trouble and not incident.open else "",
        tuple(incident.missing) if trouble and not trouble.recorded else (),
    )


def _is_unwritten(watch: Watch, incident: Incident) -> bool:
    """True if the incident's message cannot be written. The page then shows its id, and the health says why."""
    watch.state.rendering.top(incident)
    return incident.id in watch.state.rendering.unwritten


def _cause(trouble: Trouble) -> str:
    if isinstance(trouble.facts, JudgedFacts):
        return f"Severity: {trouble.facts.severity or 'unknown'}"
    return f"Cause: {trouble.cause}" if trouble.cause is not Cause.UNKNOWN or trouble.failure else ""


def _silence_of(watch: Watch, incident: Incident, today: date) -> Silence | None:
    return silences.silenced(watch.state.configuration.silences.entries, incident, today)


def _silenced(silence: Silence | None) -> str:
    return f"Silenced until {silence.expires}: {silence.reason}" if silence else ""


def _silences(watch: Watch, today: date) -> list[SilenceLine]:
    """Those in force first, then those that come, then those that are over."""
    still_open = watch.state.book.open()
    entries = sorted(
        watch.state.configuration.silences.entries, key=lambda s: (not s.in_force(today), s.expired(today), s.expires)
    )
    return [_silence(silence, still_open, today) for silence in entries]


def _silence(silence: Silence, still_open: Iterable[Incident], today: date) -> SilenceLine:
    in_force = silence.in_force(today)
    if in_force:
        left = (silence.expires - today).days
        state = f"In force, {left} more day{'s' * (left != 1)}" if left else "In force, for the last day"
    else:
        state = "Over: remove it" if silence.expired(today) else f"Not yet in force: begins {silence.since}"
    return SilenceLine(
        silence.pipeline,
        silence.kind,
        silence.subject,
        silence.reason,
        silence.issue,
        silence.since.isoformat(),
        silence.expires.isoformat(),
        in_force,
        state,
        sum(silence.covers(incident) for incident in still_open) if in_force else 0,
    )
