"""Is a day without a run in the ledger after its deadline? Asks the ledger, and Airflow for the reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from retrain.alerts.facts import SilenceFacts
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe import deadlines
from retrain.alerts.watch.observe.airflow_health import AIRFLOW
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
    key = Key(deployment.pipeline, Kind.PIPELINE_SILENT, "")
    silent = {day for incident in inquiry.incidents if incident.key == key for day in incident.missing}
    explained = {
        day
        for incident in inquiry.incidents
        if incident.key.pipeline == deployment.pipeline and incident.key != key
        for day in incident.missing
    }
    airflow_is_reported = any(incident.key == AIRFLOW and incident.open for incident in inquiry.incidents)
    owed = dict(deadlines.owed(deployment, deployment.expected.recorded, inquiry.since, now))
    for day in sorted({*owed, *silent}):
        if (deployment.pipeline, day) in inquiry.answered.recorded and day not in silent:
            continue
        if Ledger(inquiry.client, deployment.ledger).is_recorded(deployment.pipeline, day):
            inquiry.answered.recorded.add((deployment.pipeline, day))
            if day in silent:
                yield observed(f"{deployment.pipeline}/recorded/{day}", now, Step.GOOD, key, day)
        elif day in owed and day not in explained and not airflow_is_reported:
            facts = SilenceFacts(
                expected_at=owed[day].isoformat(),
                what=f"No run of {day} is in the ledger, and nothing has failed.",
                health=_state_of_the_dag(inquiry, deployment),
                next="Open the DAG: is it paused, is a run queued, does a task hang?",
            )
            yield observed(f"{deployment.pipeline}/silent/{day}", now, Step.TROUBLE, key, day, facts)


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
