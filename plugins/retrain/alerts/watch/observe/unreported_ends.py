"""Which tasks have ended without their callback's signal? Asks Airflow for the runs that ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from retrain.alerts.diagnosis import UNREPORTED, diagnose
from retrain.alerts.facts import FailureFacts, RunFacts
from retrain.alerts.signal import Signal, Step, end_of_task
from retrain.alerts.watch.observe.inquiry import Inquiry
from retrain.deployment.dag_ids import LANDINGS
from retrain.deployment.pipeline_file import Deployment
from retrain.run.partition import of_api

_CALLBACK_TAKES = timedelta(minutes=1)


def unreported_ends(inquiry: Inquiry, deployment: Deployment, now: datetime) -> Iterator[Signal]:
    """Trouble for failed tasks whose callback never ran, as after SIGKILL, and good ends of tasks with an open incident.

    The runs of the DAG that reads landings are checked as well.

    Raises:
        AirflowApiError: Airflow refused a question, or did not answer it.
    """
    yield from _failures(inquiry, deployment, deployment.pipeline, now)
    yield from _good_ends(inquiry, deployment, now)
    if deployment.trigger == "event":
        yield from _failures(inquiry, deployment, f"{deployment.pipeline}{LANDINGS}", now)


def _good_ends(inquiry: Inquiry, deployment: Deployment, now: datetime) -> Iterator[Signal]:
    pipeline = deployment.pipeline
    failing = {i.task for i in inquiry.incidents if i.open and i.key.pipeline == pipeline and i.task and i.missing}
    if not failing:
        return
    for run in inquiry.fleet.succeeded_runs(pipeline):
        day = of_api(run, deployment.schedule, now=now)
        for name in sorted(failing):
            yield Signal(
                id=f"{pipeline}/{run['dag_run_id']}/{name}/ended {run['end_date']}",
                at=run["end_date"],
                step=Step.GOOD,
                pipeline=pipeline,
                kind=None,
                partition=day,
                task=name,
                backfill=run["run_type"] == "backfill",
                facts=RunFacts(dag_run=run["dag_run_id"]).written(),
            )


def _failures(inquiry: Inquiry, deployment: Deployment, dag: str, now: datetime) -> Iterator[Signal]:
    unread = {
        run["dag_run_id"]: run
        for run in inquiry.fleet.failed_runs(dag)
        if _seen(run) not in inquiry.answered.failed_runs
        and now - datetime.fromisoformat(run["end_date"]) >= _CALLBACK_TAKES
    }
    if not unread:
        return
    for task in inquiry.airflow.failed_tasks(dag, list(unread)):
        run = unread[task["dag_run_id"]]
        page = f"{inquiry.airflow.url}/dags/{dag}/runs/{run['dag_run_id']}/tasks/{task['task_id']}"
        yield _failure(deployment.pipeline, page, run, task, of_api(run, deployment.schedule, now=now))
    inquiry.answered.failed_runs.update(_seen(run) for run in unread.values())


def _seen(run: Mapping[str, Any]) -> tuple[str, str, str]:
    return run["dag_id"], run["dag_run_id"], run["end_date"]


def _failure(
    pipeline: str, page: str, run: Mapping[str, Any], task: Mapping[str, Any], partition: str | None
) -> Signal:
    name, tries, run_id = task["task_id"], task["try_number"], run["dag_run_id"]
    found = diagnose(UNREPORTED, name)
    facts = FailureFacts(
        cause=found.cause,
        evidence=found.evidence,
        next=found.next,
        task=name,
        tries=tries,
        dag_run=run_id,
        log_url=f"{page}?try_number={tries}",
    )
    return Signal(
        id=end_of_task(pipeline, run_id, name, tries, Step.TROUBLE),
        at=task["end_date"] or run["end_date"],
        step=Step.TROUBLE,
        pipeline=pipeline,
        kind=found.kind,
        subject=name,
        partition=partition,
        task=name,
        backfill=run["run_type"] == "backfill",
        facts=facts.written(),
    )
