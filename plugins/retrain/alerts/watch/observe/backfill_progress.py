"""How far are the pipeline's backfills? Asks Airflow for their runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from retrain.alerts import backfills
from retrain.alerts.backfills import RunStates
from retrain.alerts.facts import mapping
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe.fleet_answers import LOOK_BACK
from retrain.alerts.watch.observe.inquiry import Inquiry, observed
from retrain.deployment.pipeline_file import Deployment


def backfill_progress(inquiry: Inquiry, deployment: Deployment, now: datetime) -> Iterator[Signal]:
    """The counts of each backfill that runs or has just ended, the oldest first, and a good end for one that is complete.

    Raises:
        AirflowApiError: Airflow refused a question, or did not answer it.
    """
    pipeline = deployment.pipeline
    of_backfills = [i for i in inquiry.incidents if i.key.kind is Kind.BACKFILL and i.key.pipeline == pipeline]
    known = {incident.key.subject: incident.open for incident in of_backfills}
    if not inquiry.fleet.may_backfill(pipeline):
        return
    for backfill in reversed(inquiry.airflow.backfills(pipeline)):
        subject = str(backfill["id"])
        is_open = known.get(subject)
        if is_open is False or (is_open is None and _is_old(backfill, inquiry.since, now)):
            continue
        facts = backfills.counted(backfill, _states(inquiry, pipeline, backfill), deployment.schedule.timezone)
        key = Key(pipeline, Kind.BACKFILL, subject)
        counts = sorted(mapping(facts.written()).items(), key=str)
        yield observed(f"{pipeline}/backfill/{subject}/{counts}", now, Step.PROGRESS, key, facts=facts)
        if backfill["completed_at"]:
            yield observed(f"{pipeline}/backfill/{subject}/finished", now, Step.GOOD, key, facts=facts)


def _states(inquiry: Inquiry, pipeline: str, backfill: Mapping[str, Any]) -> RunStates:
    """The number of its runs by state. Airflow counts them: a listing would be a page a hundred runs."""
    window = {"logical_date_gte": backfill["from_date"], "logical_date_lte": backfill["to_date"]}
    done, failed, running = (
        inquiry.airflow.run_count(pipeline, states, run_type="backfill", **window)
        for states in (("success",), ("failed",), ("queued", "running"))
    )
    return RunStates(done, failed, running)


def _is_old(backfill: Mapping[str, Any], since: datetime, now: datetime) -> bool:
    """True if a backfill without an incident is no news: it ended long ago, and its incident may be forgotten by now."""
    ended = backfill["completed_at"]
    long_ago = ended is not None and now - datetime.fromisoformat(ended) > LOOK_BACK
    return long_ago or datetime.fromisoformat(backfill["updated_at"]) < since
