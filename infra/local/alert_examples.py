"""Examples of alerts for the runbooks' pictures and the tests: one realistic incident for each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from example_signals import SIGNALS

from retrain.alerts import incident
from retrain.alerts.backfills import into_thread
from retrain.alerts.incident import Incident, Situation
from retrain.alerts.signal import Signal
from retrain.alerts.silences import Silences, read


@dataclass(frozen=True)
class AlertExample:
    """An incident just before its end, then after it."""

    open: Incident
    resolved: Incident


def examples() -> dict[str, AlertExample]:
    """An example of each kind of incident. The name is the kind, or the kind with the special case."""
    return {name: _example(name, signals) for name, signals in SIGNALS.items()}


def silences() -> Silences:
    """Three silences: one in force, one that has expired, one that is refused."""
    return read(
        """
- pipeline: trip_duration
  kind: promotion_refused
  reason: The champion is kept until the new fare zones are labelled.
  issue: https://git.example.org/retrain/issues/31
  since: 2020-03-10
  expires: 2020-03-31
- pipeline: trip_duration
  kind: data_late
  reason: The feed lands after noon until its migration is over.
  issue: https://git.example.org/retrain/issues/12
  since: 2020-02-01
  expires: 2020-03-15
- pipeline: trip_duration
  kind: drift_detected
  reason: Always drifts on holidays.
  issue: https://git.example.org/retrain/issues/27
"""
    )


def _example(name: str, signals: Sequence[Signal]) -> AlertExample:
    folded: Incident | None = None
    before: Incident | None = None
    for signal in signals:
        known = [folded] if folded else []
        told = into_thread(signal, known, datetime.fromisoformat(signal.at))
        changed = incident.apply(known, told, _situation(signal, known)) if told else []
        if len(changed) != 1:
            raise ValueError(f"the signal {signal.id} of the example {name} changes {len(changed)} incidents")
        before, folded = folded, changed[0]
    if before is None or folded is None or folded.open:
        raise ValueError(f"the example {name} does not end")
    return AlertExample(before, folded)


def _situation(signal: Signal, known: Sequence[Incident]) -> Situation:
    """Every day was recorded and promoted, up to the day before a task failed."""
    failed = [day for each in known if each.task for day in each.missing]
    troubled = [*failed, signal.partition or "2020-03-17"]
    day = date.fromisoformat(min(troubled)) - timedelta(days=1)
    recorded = f"{day + timedelta(days=1)}T06:13:51+00:00"
    return Situation(signal.at, str(day.day - 8), str(day), str(day), recorded, "v1.2.0")
