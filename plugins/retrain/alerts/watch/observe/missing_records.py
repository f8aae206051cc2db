"""Is a day without a run in the ledger after its deadline? Asks the ledger, and Airflow for the reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from retrain.alerts.facts import SilenceFacts
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe import deadlines
from retrain.alerts.watch.observe.airflow_health import AIRFLOW
from retrain.alerts.watch.observe.asking import awaited
from retrain.alerts.watch.observe.inquiry import AskedServer, Inquiry, observed
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import AirflowApiError, AirflowUnreachableError
from retrain.store.ledger import Ledger


def missing_records(inquiry: Inquiry, deployment: Deployment, now: datetime) -> Iterator[Signal]:
    """Trouble for each day that has no run in the ledger after its deadline, unless an incident has said why.

    A newer day's good run ends an incident and leaves the older day without a run: that day was reported, and is not reported again.

    Raises:
        StoreError: the ledger cannot be read.
    """
    if deployment.expected is None:
        return
    pipeline, asking, known = deployment.pipeline, inquiry.answered.records, inquiry.answered.days
    key = Key(pipeline, Kind.PIPELINE_SILENT, "")
    incidents = [incident for incident in inquiry.incidents if incident.key == key]
    silent = {day for incident in incidents for day in incident.missing}
    owed = dict(deadlines.owed(deployment, deployment.expected.recorded, inquiry.since, now))
    # Days of which the answer would change nothing are not asked for.
    if any(incident.key == AIRFLOW and incident.open for incident in inquiry.incidents):
        explained = set(owed)
    else:
        explained = {day for i in inquiry.incidents if i.key.pipeline == pipeline and i.key != key for day in i.missing}
    reportable = {day: due for day, due in owed.items() if day in silent or day not in explained}
    days, found = awaited(reportable, incidents, known.recorded(pipeline)), set[str]()
    for day in asking.due(pipeline, days.values(), now):
        recorded = Ledger(inquiry.client, deployment.ledger).is_recorded(pipeline, day)
        asking.asked(pipeline, days[day], now)
        if recorded:
            found.add(day)
            known.add(pipeline, recorded=frozenset({day}))
        elif day in reportable and day not in explained and not _is_reported(inquiry, key, day):
            facts = SilenceFacts(
                expected_at=owed[day].isoformat(),
                what=f"No run of {day} is in the ledger, and nothing has failed.",
                health=_state_of_the_dag(inquiry, deployment),
                next="Open the DAG: is it paused, is a run queued, does a task hang?",
            )
            yield observed(_name(key, day), now, Step.TROUBLE, key, day, facts)
    for day in sorted(silent & (found | known.recorded(pipeline))):
        yield observed(f"{pipeline}/recorded/{day}", now, Step.GOOD, key, day)


def _name(key: Key, day: str) -> str:
    return f"{key.pipeline}/silent/{day}"


def _is_reported(inquiry: Inquiry, key: Key, day: str) -> bool:
    """True if an incident has the signal of this day: a second one would change nothing, and cost requests to Airflow."""
    return any(e.id == _name(key, day) for i in inquiry.incidents if i.key == key for e in i.entries)


def _state_of_the_dag(inquiry: Inquiry, deployment: Deployment) -> dict[str, str]:
    if AskedServer.AIRFLOW in inquiry.unanswered:
        return {"Airflow": inquiry.unanswered[AskedServer.AIRFLOW]}
    try:
        paused = inquiry.airflow.is_paused(deployment.pipeline)
        running = inquiry.airflow.runs(deployment.pipeline, limit=20, state="running")
    except AirflowApiError as error:
        if isinstance(error, AirflowUnreachableError):
            inquiry.unanswered[AskedServer.AIRFLOW] = str(error)
        return {"Airflow": str(error)}
    return {
        "DAG": "paused" if paused else "active",
        "running": ", ".join(r["dag_run_id"] for r in running) or "no run",
    }
