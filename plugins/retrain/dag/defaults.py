"""What every DAG of a pipeline sets: the defaults of its tasks, its macros, its first moment."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from retrain.alerts.callbacks import Failed, Succeeded
from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Schedule
from retrain.errors import FinalError
from retrain.run import partition

# The longest that one try of a task may take, well above the limits of its own steps. A try that hangs is ended and retried.
TASK_LIMIT = timedelta(hours=1)


def task_defaults(deployment: Deployment) -> dict[str, Any]:
    """Return the defaults of every task of a pipeline. A FinalError is not retried; the callbacks write signals for the watch.

    The queue is that of the pipeline's file; without it Airflow's own default stays.
    """
    return {
        **({"queue": deployment.queue} if deployment.queue else {}),
        "owner": deployment.owner,
        "execution_timeout": TASK_LIMIT,
        "retries": deployment.limits.retries,
        "retry_delay": timedelta(seconds=deployment.limits.retry_seconds),
        "retry_exponential_backoff": 2,  # a multiplier; True would mean 1, which is no growth
        "retry_policy": ExceptionRetryPolicy([RetryRule(FinalError, RetryAction.FAIL)]),
        "on_failure_callback": Failed(deployment.pipeline),
        "on_success_callback": Succeeded(deployment.pipeline),
    }


def macros(schedule: Schedule) -> dict[str, Any]:
    """Return the functions that templates and callbacks may call."""
    return {partition.MACRO: partial(partition.of_template, schedule=schedule)}


def first_moment(schedule: Schedule) -> datetime:
    """Return the start of the schedule's first day, in UTC as Airflow stores it."""
    return datetime.combine(schedule.start_date, time.min, ZoneInfo(schedule.timezone)).astimezone(UTC)
