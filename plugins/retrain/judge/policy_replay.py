"""What the thresholds of a pipeline's file make of history, so that a change can be judged before it ships.

Walks over judged days with the policies' own code, and says which days open a message and which are in alert: on the days
that the section `replay` calls ordinary, in the incidents that it knows, and on all others.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from retrain.deployment import holiday
from retrain.deployment.pipeline_file import Calendar, Known, Policies, load_policies
from retrain.errors import ConfigurationError, ReportError, RetrainError
from retrain.judge import day
from retrain.judge.day import Day
from retrain.judge.judging import walk
from retrain.judge.spell import State, Verdict

ROOT = Path(__file__).resolve().parents[3]
_BY = 0.2  # how far a threshold is moved to see what hangs on it


@dataclass(frozen=True)
class ReplayedIncident:
    """A spell: the partition that opened it, the last one in alert, why it opened, and what is known of that day."""

    kind: str
    opened: str
    last: str
    days: int
    severity: str
    reasons: tuple[str, ...]
    known: str | None


@dataclass(frozen=True)
class Count:
    """Days judged, days that open a message and days in alert, each day once whatever the kind."""

    days: int
    opening: int
    in_alert: int


@dataclass(frozen=True)
class Outcome:
    """What the policies make of all days. `missed` says which expectations of the pipeline's file are not met."""

    first: str
    last: str
    ordinary: Count
    incidents: tuple[ReplayedIncident, ...]
    missed: tuple[str, ...]


def replayed(days: Sequence[Day], policies: Policies) -> Outcome:
    """Walk over the days, and hold the outcome against the section `replay`. Pure."""
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
    return Outcome(days[0].partition, days[-1].partition, count, incidents, tuple(missed))


def _count(verdicts: Iterable[Verdict], days: Sequence[Day], first: str, last: str) -> Count:
    within = [v for v in verdicts if first <= v.partition <= last]
    return Count(
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
    told = policies.replay.events.get(opened) if policies.replay else None
    return told or holiday.name(opened, policies.calendar) or _beside(opened, policies.calendar)


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
class Moved:
    """A threshold at another value, and what comes of it: ordinary days counted, and what opened in the known incidents."""

    threshold: str
    value: float
    ordinary: Count
    opened: tuple[str, ...]
    holds: bool


def sensitivity(days: Sequence[Day], policies: Policies) -> list[Moved]:
    """Each threshold a fifth lower and higher (whole numbers by at least one), the others as they are. Pure."""
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
        found.append(Moved(threshold, value, outcome.ordinary, opened, not outcome.missed))
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


def read_documents(file: Path, policies: Policies) -> list[Day]:
    """The days of a file with one JSON object a line: `drift`, the report, and `metrics`, both as the pipeline writes them."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines]
        found = {
            str(d["drift"]["partition"]): day.read(str(d["drift"]["partition"]), policies, d["drift"], d["metrics"])
            for d in documents
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{file} holds no days ({error!r}). Write it with tests/bench/day_documents.py.") from error
    return [found[partition] for partition in sorted(found)]


def read_ledger(pipeline_file: Path) -> list[Day]:
    """The days that production has judged; needs the addresses and the connection of Airflow's components."""
    from retrain.airflow.connections import Aws
    from retrain.deployment.pipeline_file import load
    from retrain.judge.judging import kept_days
    from retrain.store.ledger import Ledger

    deployment = load(pipeline_file)
    return kept_days(Ledger(Aws(deployment.aws_conn_id).client(), deployment.ledger), deployment.pipeline)


def text(outcome: Outcome, policies: Policies, moved: Sequence[Moved] = ()) -> str:
    """The outcome for a terminal."""
    count = outcome.ordinary
    share = policies.replay.ordinary if policies.replay else None
    lines = [f"{outcome.first} to {outcome.last}"]
    if share and count.days:
        lines += [
            f"Ordinary days, {share.first} to {share.last}: {count.days} judged",
            f"  open a message  {count.opening:3}  {count.opening / count.days:.2%}  (at most {share.max_share:.2%})",
            f"  are in alert    {count.in_alert:3}  {count.in_alert / count.days:.2%}",
        ]
    lines.append("Incidents")
    for incident in outcome.incidents:
        named = f"  [{incident.known}]" if incident.known else ""
        lines.append(
            f"  {incident.opened} to {incident.last} {incident.days:4} days  {incident.kind:19} {incident.severity:6}{named}"
        )
        lines += [f"      {reason}" for reason in incident.reasons]
    if moved:
        lines += ["", f"{'One threshold moved':34} {'to':>8} {'open':>5} {'alert':>6}  holds  known incidents opened"]
        lines += [
            f"{m.threshold:34} {m.value:8.4g} {m.ordinary.opening:5} {m.ordinary.in_alert:6}  "
            f"{'yes' if m.holds else 'NO':5}  {', '.join(m.opened) or '-'}"
            for m in moved
        ]
    lines += [f"Missed: {sentence}." for sentence in outcome.missed]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Returns 0; 1 with --check when an expectation is missed, and after one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m retrain.judge.policy_replay", description=__doc__)
    parser.add_argument("--pipeline", default="trip_duration", help="the pipeline (default: %(default)s)")
    folder = Path(os.environ.get("RETRAIN_PIPELINES") or ROOT / "dags" / "pipelines")
    parser.add_argument("--pipelines", type=Path, default=folder, help="the folder of their files")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--documents", type=Path, help="a file with a line of JSON a day: drift report and metrics")
    source.add_argument("--ledger", action="store_true", help="the days that production has judged")
    parser.add_argument("--sensitivity", action="store_true", help="also move each threshold by a fifth, one at a time")
    parser.add_argument("--check", action="store_true", help="exit with 1 if an expectation of the file is missed")
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    options = parser.parse_args(arguments)
    file = options.pipelines / f"{options.pipeline}.yaml"
    try:
        policies = load_policies(file)
        days = read_ledger(file) if options.ledger else read_documents(options.documents, policies)
        outcome = replayed(days, policies)
        moved = sensitivity(days, policies) if options.sensitivity else []
    except RetrainError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    document: dict[str, Any] = {**asdict(outcome), "sensitivity": [asdict(m) for m in moved]}
    answer = json.dumps(document, indent=1, sort_keys=True) if options.json else text(outcome, policies, moved)
    sys.stdout.write(f"{answer}\n")
    return 1 if options.check and outcome.missed else 0


if __name__ == "__main__":
    sys.exit(main())
