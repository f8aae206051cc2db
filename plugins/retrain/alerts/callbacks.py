"""The callbacks that Airflow calls when a task has succeeded, or has failed and is not tried again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowTaskTimeout

from retrain.alerts.diagnosis import diagnose
from retrain.alerts.facts import FailureFacts, RunFacts
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step, end_of_task
from retrain.alerts.tell import tell
from retrain.errors import PartitionError, TaskTimeoutError
from retrain.results import Resolved
from retrain.run.partition import of_context

if TYPE_CHECKING:
    from airflow.sdk import Context


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failed:
    """`on_failure_callback`: writes the signal of a task that is not tried again, and none for a retry.

    `next_step` is a DAG's own next step, with `{task}` in place of the task's id; without it, the cause decides on the next step.
    """

    pipeline: str
    next_step: str | None = None

    def __call__(self, context: Context) -> None:
        ti = context["ti"]
        found = diagnose(_error(context), ti.task_id)
        facts = FailureFacts(
            cause=found.cause,
            evidence=found.evidence,
            stage=found.stage,
            next=self.next_step.format(task=ti.task_id) if self.next_step else found.next,
            task=ti.task_id,
            tries=ti.try_number,
            dag_run=ti.run_id,
            log_url=str(ti.log_url),
            release=_release(context),
        )
        tell(_signal(self.pipeline, context, Step.TROUBLE, found.kind, facts))


@dataclass(frozen=True)
class Succeeded:
    """`on_success_callback`: writes the signal that ends the task's incidents."""

    pipeline: str

    def __call__(self, context: Context) -> None:
        tell(_signal(self.pipeline, context, Step.GOOD, None, RunFacts(dag_run=context["ti"].run_id)))


def _error(context: Context) -> BaseException | str | None:
    """The exception that the task ended with. Airflow's own for a time limit says only `Timeout, PID: 4711`."""
    error: BaseException | str | None = context.get("exception")
    limit = context["ti"].task.execution_timeout if isinstance(error, AirflowTaskTimeout) else None
    if limit is None:
        return error
    return TaskTimeoutError(
        f"{context['ti'].task_id} ran longer than its limit of {limit.total_seconds() / 60:.0f} minutes and was ended. "
        "The end of its log shows its last step."
    )


def _signal(pipeline: str, context: Context, step: Step, kind: Kind | None, facts: RunFacts) -> Signal:
    ti = context["ti"]
    return Signal(
        id=end_of_task(pipeline, ti.run_id, ti.task_id, ti.try_number, step),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        step=step,
        pipeline=pipeline,
        kind=kind,
        subject=ti.task_id if kind is Kind.TASK_FAILED else "",
        partition=_partition(context),
        task=ti.task_id,
        backfill=context["dag_run"].run_type == "backfill",
        facts=facts.written(),
    )


def _partition(context: Context) -> str | None:
    """The run's partition; None for a run that fails because it has none."""
    try:
        return of_context(context)
    except PartitionError:
        return None


def _release(context: Context) -> str | None:
    """The release of the run, once `resolve_run` has fixed it."""
    try:
        run = context["ti"].xcom_pull(task_ids=Resolved.task)
        return None if run is None else Resolved.from_json(run).release
    except Exception as error:  # noqa: BLE001 - whatever keeps Airflow from answering, the failure itself is reported
        log.warning("the release of the failed run is not known: %s", error)
        return None
