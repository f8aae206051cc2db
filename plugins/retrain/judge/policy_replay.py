"""Replaying the policies of a pipeline's file over judged days, so that a change of a threshold can be judged before it ships.

The section `replay` of the file names ordinary days and known incidents. The result is compared with them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby

from retrain.deployment import holiday
from retrain.deployment.policies import Known, Policies
from retrain.deployment.sections import Calendar
from retrain.errors import ConfigurationError
from retrain.judge.day import Day
from retrain.judge.policies import walk
from retrain.judge.verdict import State, Verdict

_BY = 0.2  # the share by which a threshold is moved


@dataclass(frozen=True)
class ReplayedIncident:
    """Days in alert one after another.

    `opened`, `last`: the first and the last partition. `days`: the number of partitions. `severity`: the highest of them. `reasons`:
    why the first day opened it. `known`: the event or holiday at its opening, if there is one.
    """

    kind: str
    opened: str
    last: str
    days: int
    severity: str
    reasons: tuple[str, ...]
    known: str | None


@dataclass(frozen=True)
class DayCount:
    """The numbers of days that were judged, that opened a message, and that are in alert; of either kind, each day once."""

    days: int
    opening: int
    in_alert: int


@dataclass(frozen=True)
class ReplayedPolicies:
    """The result of a replay from partition `first` to `last`.

    `missed` has one sentence for each expectation of the section `replay` that is not met.
    """

    first: str
    last: str
    ordinary: DayCount
    incidents: tuple[ReplayedIncident, ...]
    missed: tuple[str, ...]


def replayed(days: Sequence[Day], policies: Policies) -> ReplayedPolicies:
    """Apply the policies to the days and compare the result with the section `replay`.

    Args:
        days: judged days, oldest first.
        policies: the policies of the pipeline's file.

    Raises:
        ConfigurationError: the file has no section `replay`, or there are no days.
    """
    expected = policies.replay
    if expected is None or not days:
        what = "no section replay" if expected is None else "no judged days to replay"
        raise ConfigurationError(f"There is {what}. Say in the pipeline's file which days are ordinary, and name days.")
    drifts, errors = walk(days, policies)
    verdicts: dict[str, Sequence[Verdict]] = {"drift_detected": drifts, "performance_dropped": errors}
    first, last = expected.ordinary.first.isoformat(), expected.ordinary.last.isoformat()
    count = _count([v for of_kind in verdicts.values() for v in of_kind], days, first, last)
    incidents = tuple(
        sorted(
            (i for kind, of_kind in verdicts.items() for i in _incidents(kind, of_kind, policies)),
            key=lambda i: (i.opened, i.kind),
        )
    )
    missed = [text for known in expected.incidents if (text := _missed(known, incidents))]
    if not count.days:
        missed.append(f"none of the ordinary days from {first} to {last} has been judged")
    elif count.opening / count.days > expected.ordinary.max_share:
        share = f"{count.opening} of {count.days} ordinary days ({count.opening / count.days:.2%})"
        missed.append(f"{share} open a message, more than {expected.ordinary.max_share:.2%}")
    return ReplayedPolicies(days[0].partition, days[-1].partition, count, incidents, tuple(missed))


def _count(verdicts: Iterable[Verdict], days: Sequence[Day], first: str, last: str) -> DayCount:
    within = [v for v in verdicts if first <= v.partition <= last]
    return DayCount(
        sum(first <= d.partition <= last for d in days),
        len({v.partition for v in within if v.opened}),
        len({v.partition for v in within if v.state is State.ALERT}),
    )


def _incidents(kind: str, verdicts: Sequence[Verdict], policies: Policies) -> Iterator[ReplayedIncident]:
    for since, group in groupby(verdicts, key=lambda v: v.since):
        if since is not None:
            spell = list(group)
            yield ReplayedIncident(
                kind,
                since,
                spell[-1].partition,
                len(spell),
                max((v.severity for v in spell if v.severity), key=lambda s: s.rank).value,
                spell[0].reasons,
                _known(date.fromisoformat(since), policies),
            )


def _known(opened: date, policies: Policies) -> str | None:
    event = policies.replay.events.get(opened) if policies.replay else None
    return event or holiday.name(opened, policies.calendar) or _beside(opened, policies.calendar)


def _beside(opened: date, calendar: Calendar | None) -> str | None:
    for step, word in ((-1, "the day after"), (1, "the day before")):
        if feast := holiday.name(date.fromordinal(opened.toordinal() + step), calendar):
            return f"{word} {feast}"
    return None


def _missed(known: Known, incidents: Iterable[ReplayedIncident]) -> str | None:
    first, last = known.first.isoformat(), known.last.isoformat()
    found = [i.opened for i in incidents if i.kind == known.kind and i.opened <= last and i.last >= first]
    if found == [known.opened.isoformat()]:
        return None
    return f"{known.kind} from {first} to {last}: opened on {', '.join(found) or 'no day'}, expected once, on {known.opened}"


@dataclass(frozen=True)
class MovedThreshold:
    """The result with one threshold at another value.

    `opened`: the partitions that opened a known incident. `holds`: True if every expectation is still met.
    """

    threshold: str
    value: float
    ordinary: DayCount
    opened: tuple[str, ...]
    holds: bool


def sensitivity(days: Sequence[Day], policies: Policies) -> list[MovedThreshold]:
    """Replay with each threshold a fifth lower and a fifth higher (whole numbers by at least one), one at a time.

    Raises:
        ConfigurationError: as for `replayed`.
    """
    found = []
    for threshold, value, moved_days, moved in _variants(days, policies):
        outcome = replayed(moved_days, moved)
        known = policies.replay.incidents if policies.replay else ()
        opened = tuple(
            i.opened
            for i in outcome.incidents
            for k in known
            if i.kind == k.kind and k.first.isoformat() <= i.opened <= k.last.isoformat()
        )
        found.append(MovedThreshold(threshold, value, outcome.ordinary, opened, not outcome.missed))
    return found


def _variants(days: Sequence[Day], policies: Policies) -> Iterator[tuple[str, float, Sequence[Day], Policies]]:
    for factor in (1 - _BY, 1 + _BY):
        scaled = [replace(d, features=tuple(replace(f, limit=f.limit * factor) for f in d.features)) for d in days]
        yield "PSI limits of the release, times", factor, scaled, policies
    for name in ("drift", "performance"):
        section = getattr(policies, name)
        for threshold, value in section.model_dump().items() if section else ():
            if isinstance(value, int | float):
                for other in (_lower(threshold, value), _higher(threshold, value)):
                    changed = section.model_copy(update={threshold: other})
                    yield f"{name}.{threshold}", other, days, policies.model_copy(update={name: changed})


def _lower(threshold: str, value: float) -> float:
    if threshold == "confidence":
        return 1 - (1 - value) * (1 + _BY)
    return max(math.floor(value * (1 - _BY)), 1) if isinstance(value, int) else value * (1 - _BY)


def _higher(threshold: str, value: float) -> float:
    if threshold == "confidence":
        return 1 - (1 - value) * (1 - _BY)
    return math.ceil(value * (1 + _BY)) if isinstance(value, int) else value * (1 + _BY)
