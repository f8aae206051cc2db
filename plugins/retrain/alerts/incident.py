"""Folds signals into incidents: one problem, one incident.

An incident opens with the first trouble of its key and ends with the next good run: the same task, for the same partition or
a newer one. A newer day's good run ends the incident and leaves the older day without a run: `missing` lists the days that
need a rerun, each until it has had one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from retrain.alerts.facts import FactsJson, JudgedFacts, merged, no_facts
from retrain.alerts.signal import Key, Signal, Step


@dataclass(frozen=True)
class Situation:
    """The model that consumers are on and the last good day, by the ledger at `as_of` (UTC, ISO 8601).

    `unknown` says why the ledger could not be read; then only `timezone`, the schedule's, is set. Partitions are YYYY-MM-DD.
    """

    as_of: str
    champion: str | None = None  # model version
    champion_partition: str | None = None
    last_good: str | None = None  # newest recorded partition
    last_good_at: str | None = None
    release: str | None = None
    unknown: str | None = None
    timezone: str = "UTC"


@dataclass(frozen=True)
class Entry:
    """One line of an incident's thread. A `loud` one is shown in the channel too."""

    id: str
    at: str
    step: Step
    partition: str | None
    facts: FactsJson
    pictures: tuple[tuple[str, str], ...] = ()
    loud: bool = False


@dataclass(frozen=True)
class Incident:
    """One problem, from its first trouble to its end.

    `partitions` are the days that it touched (YYYY-MM-DD), True once the day is good again. `facts` are the newest trouble's.
    """

    key: Key
    opened_at: str
    task: str | None
    facts: FactsJson
    partitions: Mapping[str, bool] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    resolved_at: str | None = None
    situation: Situation | None = None

    @property
    def id(self) -> str:
        """Unique. A problem that comes back after its end is another incident."""
        return f"{self.key.pipeline}/{self.key.kind}/{self.key.subject or '-'}/{self.opened_at}"

    @property
    def open(self) -> bool:
        return self.resolved_at is None

    @property
    def missing(self) -> list[str]:
        """The days that the problem left without a good run."""
        return sorted(day for day, good in self.partitions.items() if not good)

    @property
    def troubles(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.step is Step.TROUBLE]


def apply(incidents: Iterable[Incident], signal: Signal, situation: Situation | None = None) -> list[Incident]:
    """The incidents that the signal changes or opens; empty if it changes none. `incidents` are all known ones.

    Raises:
        SignalError: the signal is a trouble or a progress of no kind.
    """
    if signal.step is Step.NOTE:
        return []
    if signal.step is Step.GOOD:
        return [
            after
            for before in incidents
            if _concerns(before, signal) and (after := _settle(before, signal)) is not before
        ]
    current = next((i for i in incidents if i.open and i.key == signal.key), None)
    if current is None:
        current = Incident(signal.key, signal.at, signal.task, no_facts(), situation=situation)
    elif any(entry.id == signal.id for entry in current.entries):
        return []
    if signal.step is Step.PROGRESS:
        changed = replace(current, facts=merged(current.facts, signal.facts))
        return [] if changed == current else [changed]
    return [
        replace(
            current,
            facts=current.facts if signal.backfill else signal.facts,
            task=None if signal.backfill else signal.task or current.task,
            partitions={**current.partitions, **({signal.partition: False} if signal.partition else {})},
            entries=(*current.entries, _entry(signal, loud=_worse(current, signal))),
            situation=_newer(current.situation, situation),
        )
    ]


def restated(incident: Incident, situation: Situation) -> Incident:
    """The incident with a newer situation; the same object if its message would not change."""
    newer = _newer(incident.situation, situation)
    if newer is None or (incident.situation and replace(newer, as_of=incident.situation.as_of) == incident.situation):
        return incident
    return replace(incident, situation=newer)


def _newer(known: Situation | None, read: Situation | None) -> Situation | None:
    """Two threads read the ledger: the question that began later knows more."""
    if known is None or read is None:
        return read or known
    return read if read.as_of >= known.as_of else known


def _concerns(incident: Incident, signal: Signal) -> bool:
    if signal.kind is not None:
        return incident.key == signal.key
    return incident.key.pipeline == signal.pipeline and incident.task is not None and incident.task == signal.task


def _settle(incident: Incident, signal: Signal) -> Incident:
    """The incident after a good end. An end from before the trouble changes nothing."""
    if incident.troubles and signal.at <= incident.troubles[-1].at and signal.partition not in incident.partitions:
        return incident
    if any(e.id == signal.id or (e.partition == signal.partition and e.at >= signal.at) for e in incident.entries):
        return incident
    days = dict(incident.partitions)
    if signal.partition in days:
        days[signal.partition] = True
    if not incident.open:
        # A newer day had ended it and left this day without a run; here is that run.
        made_up = days != incident.partitions
        return replace(incident, partitions=days, entries=(*incident.entries, _entry(signal))) if made_up else incident
    newer = signal.partition is None or all(signal.partition >= day for day in days)
    over = all(days.values()) or (newer and not signal.backfill)
    if not over and days == incident.partitions:
        return incident
    return replace(
        incident,
        partitions=days,
        entries=(*incident.entries, _entry(signal)),
        # While a day is left, the message still says what is wrong with it.
        facts=merged(incident.facts, signal.facts) if over else incident.facts,
        resolved_at=signal.at if over else None,
    )


def _entry(signal: Signal, *, loud: bool = False) -> Entry:
    return Entry(signal.id, signal.at, signal.step, signal.partition, signal.facts, signal.pictures, loud)


_SEVERITIES = ("low", "medium", "high")


def _worse(incident: Incident, signal: Signal) -> bool:
    """True if the severity has risen since the last trouble: only then is the thread's line shown in the channel too."""
    before, now = (JudgedFacts.read(facts).severity for facts in (incident.facts, signal.facts))
    return before in _SEVERITIES and now in _SEVERITIES and _SEVERITIES.index(now) > _SEVERITIES.index(before)
