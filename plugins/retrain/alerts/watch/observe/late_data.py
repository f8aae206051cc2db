"""Is a day's data late, or has late data landed? Asks S3."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from retrain.alerts.facts import LateFacts, of_kind
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe import deadlines
from retrain.alerts.watch.observe.asking import awaited
from retrain.alerts.watch.observe.inquiry import Inquiry, observed
from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Raw
from retrain.run.landed import LandingRule
from retrain.store import raw_landing
from retrain.store.ledger import Ledger


def late_data(inquiry: Inquiry, deployment: Deployment, now: datetime) -> Iterator[Signal]:
    """Trouble for each partition whose data has not landed by its deadline, a good end once late data has.

    Raises:
        StoreError: S3 refused the question, or did not answer it.
    """
    raw, expected = deployment.raw, deployment.expected
    if raw is None or expected is None or expected.landed is None:
        return
    rule = LandingRule.of(raw)
    pipeline, asking, known = deployment.pipeline, inquiry.answered.landed, inquiry.answered.days
    key = Key(pipeline, Kind.DATA_LATE, "")
    incidents = [incident for incident in inquiry.incidents if incident.key == key]
    waiting = {day for incident in incidents for day in incident.missing}
    owed = dict(deadlines.owed(deployment, expected.landed, inquiry.since, now))
    unknown = sorted(owed.keys() - waiting - known.landed(pipeline))
    if len(unknown) > 1 and all(asking.is_new(pipeline, day) for day in unknown):
        # Of a new pipeline many days are unknown. Those in the ledger had their data, and one listing names them all.
        recorded = Ledger(inquiry.client, deployment.ledger).recorded_days(pipeline, unknown[0], unknown[-1])
        known.add(pipeline, landed=recorded, recorded=recorded)
    # A day may have landed, and be landing again when its run looks, which fails then. It is asked for, unless a run of it is recorded.
    failed = {day for each in incidents if each.open and _has_failed(each) for day in each.missing}
    sure = known.landed(pipeline) - (waiting - known.recorded(pipeline))
    days, found = awaited(owed, incidents, sure), set[str]()
    for day in asking.due(pipeline, days.values(), now):
        there = raw_landing.has_landed(inquiry.client, raw.url, rule, day)
        asking.asked(pipeline, days[day], now)
        if there:
            found.add(day)
            known.add(pipeline, landed=frozenset({day}))
        elif day in owed and day not in failed:
            yield observed(f"{pipeline}/late/{day}", now, Step.TROUBLE, key, day, _facts(raw, day, owed[day]))
    # A day that is older than all that are kept is in `found` alone.
    for day in sorted(waiting & (found | sure)):
        yield observed(f"{pipeline}/landed/{day}", now, Step.GOOD, key, day)


def _has_failed(incident: Incident) -> bool:
    facts = of_kind(Kind.DATA_LATE, incident.facts)
    return isinstance(facts, LateFacts) and facts.gave_up


def _facts(raw: Raw, day: str, deadline: datetime) -> LateFacts:
    rule, at, todo = LandingRule.of(raw), deadline.isoformat(), "Ask the data's owner. The run goes on by itself when"
    awaited = rule.awaited(raw.url, day)
    if rule.layout.marker_is_dated:
        return LateFacts(expected_at=at, marker=awaited, next=f"{todo} the marker is there.")
    return LateFacts(expected_at=at, awaited=awaited, next=f"{todo} the data has landed.")
