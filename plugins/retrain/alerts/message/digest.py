"""The daily digest: open and ended incidents, promotions, releases, silences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from retrain.alerts.facts import ChampionFacts, ReleaseFacts
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.message.amounts import UNKNOWN
from retrain.alerts.message.clock import between, moment
from retrain.alerts.message.messages import Message, PageAddresses, line
from retrain.alerts.message.mrkdwn import bullets, code, cut, link, plain, section, segment, within_limits
from retrain.alerts.signal import Signal
from retrain.alerts.silences import Silence, Silences

_NOTIFICATION = 300


def digest(
    day: date,
    notes: Sequence[Signal],
    incidents_open: Sequence[Incident],
    incidents_closed_today: Sequence[Incident],
    silences: Silences,
    addresses: PageAddresses,
) -> Message | None:
    """The message of a day (UTC); None if there is nothing to say."""
    backfills = [incident for incident in incidents_closed_today if incident.key.kind is Kind.BACKFILL]
    ended = [incident for incident in incidents_closed_today if incident.key.kind is not Kind.BACKFILL]
    lists = {
        "Open": [_open(incident, day) for incident in incidents_open],
        "Resolved": [_ended(incident) for incident in ended],
        "Promoted": [_promoted(note, addresses) for note in notes if note.kind is Kind.PROMOTED],
        "Released": [_released(note, addresses) for note in notes if note.kind is Kind.RELEASED],
        "Backfills finished": [line(incident) for incident in backfills],
        "Silenced": [_silence(s) for s in silences.entries if s.in_force(day)],
        "Expired silences: renew or remove": [_silence(s) for s in silences.entries if s.expired(day)],
        "Broken silences: fix or remove": [plain(sentence) for sentence in silences.invalid],
    }
    if not any(lists.values()):
        return None
    headline = f"📋 Digest of {day}"
    counts = ", ".join(f"{title.partition(':')[0].lower()}: {len(lines)}" for title, lines in lists.items() if lines)
    blocks = [block for title, lines in lists.items() for block in bullets(title, lines)]
    return Message(cut(f"{headline}\n{counts}", _NOTIFICATION), within_limits([*section(f"*{headline}*"), *blocks]))


def _open(incident: Incident, day: date) -> str:
    end = datetime.combine(day + timedelta(days=1), time.min, tzinfo=UTC)
    age = between(incident.opened_at, end.isoformat())
    opened = moment(incident.opened_at)
    since = f"since {opened:%Y-%m-%d %H:%M} UTC" if opened else "since a time not known"
    return f"{line(incident)}, {since}" + (f" ({age})" if age else "")


def _ended(incident: Incident) -> str:
    lasted = between(incident.opened_at, incident.resolved_at)
    days = len(incident.missing)
    missing = f"; still without a model: {days} day{'s' * (days != 1)}" if days else ""
    return line(incident) + (f", after {lasted}" if lasted else "") + missing


def _promoted(note: Signal, addresses: PageAddresses) -> str:
    facts = ChampionFacts.read(note.facts)
    of = facts.partition or note.partition
    model = link("MLflow", f"{addresses.mlflow.rstrip('/')}/#/models/{segment(note.pipeline)}")
    before = f" after {plain(facts.before, 20)}" if facts.before else ""
    reason = f": {plain(facts.reason, 160).rstrip('.')}" if facts.reason else ""
    return (
        f"🏆 {plain(note.pipeline, 40)}: version {plain(facts.version or UNKNOWN, 20)}"
        f"{f' of {plain(of, 20)}' if of else ''}{before}{reason} · {model}"
    )


def _released(note: Signal, addresses: PageAddresses) -> str:
    facts = ReleaseFacts.read(note.facts)
    commit = f" ({code(facts.commit[:12], 20)})" if facts.commit else ""
    before = f" after {plain(facts.before, 20)}" if facts.before else ""
    page = link("Airflow", f"{addresses.airflow.rstrip('/')}/dags/{segment(note.pipeline)}")
    return f"🚀 {plain(note.pipeline, 40)}: {plain(facts.tag or UNKNOWN, 30)}{commit}{before} · {page}"


def _silence(silence: Silence) -> str:
    subject = f" {code(silence.subject, 60)}" if silence.subject is not None else ""
    reason = plain(silence.reason, 120).rstrip(".")
    return f"{silence.kind} of {plain(silence.pipeline, 40)}{subject} to {silence.expires}: {reason} · {link('Issue', silence.issue)}"
