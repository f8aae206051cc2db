"""A backfill has one message; the failures of its runs are lines of that message's thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from retrain.alerts.facts import BackfillFacts, MetInBackfillFacts, merged
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step

_HELD = timedelta(seconds=50)


@dataclass(frozen=True)
class RunStates:
    """The number of a backfill's runs in each state; `running` includes the queued ones."""

    done: int
    failed: int
    running: int


def counted(backfill: Mapping[str, Any], runs: RunStates, timezone: str) -> BackfillFacts:
    """The counts of a backfill that Airflow's API describes. Its days are in `timezone`."""
    state = "finished" if backfill["completed_at"] else "paused" if backfill["is_paused"] else "running"
    return BackfillFacts(
        id=backfill["id"],
        first_day=_day(backfill["from_date"], timezone),
        last_day=_day(backfill["to_date"], timezone),
        total=runs.done + runs.failed + runs.running,
        done=runs.done,
        failed=runs.failed,
        running=runs.running,
        state=state,
        release=(backfill["dag_run_conf"] or {}).get("release"),
    )


def _day(moment: str, timezone: str) -> str:
    return datetime.fromisoformat(moment).astimezone(ZoneInfo(timezone)).date().isoformat()


def into_thread(signal: Signal, incidents: Iterable[Incident], now: datetime) -> Signal | None:
    """A backfill's trouble as a line of that backfill's thread; None while the backfill is not known yet.

    Good ends stay as they are: a backfill's run makes up for a day whose daily run had failed. If the backfill stays unknown,
    because Airflow does not answer, the trouble is reported like any other.
    """
    if not signal.backfill or signal.step is not Step.TROUBLE:
        return signal
    day = signal.partition or ""
    known = [i for i in incidents if i.key.pipeline == signal.pipeline and i.key.kind is Kind.BACKFILL]
    fitting = [incident for incident in known if _has(incident, day)]
    if not fitting:
        held = now - datetime.fromisoformat(signal.at) < _HELD
        return None if held else replace(signal, backfill=False)
    subject = max((i.key.subject for i in fitting), key=lambda text: (len(text), text))
    met = MetInBackfillFacts(kind=signal.kind).written()
    return replace(signal, kind=Kind.BACKFILL, subject=subject, facts=merged(signal.facts, met))


def _has(backfill: Incident, day: str) -> bool:
    facts = BackfillFacts.read(backfill.facts)
    return (facts.first_day or "") <= day <= (facts.last_day or "")
