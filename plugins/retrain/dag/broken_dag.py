"""The DAG of a pipeline whose file is broken."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable, task

from retrain.alerts.callbacks import Failed, Succeeded
from retrain.dag.defaults import TASK_LIMIT, first_moment, macros
from retrain.deployment.sections import Schedule
from retrain.errors import ConfigurationError

BROKEN_SCHEDULE = Schedule(cron="0 6 * * *", start_date=date(2018, 1, 1))  # in place of one that cannot be read


def broken_dag(file: Path, error: Exception, name: str | None = None) -> DAG:
    """Return a DAG for a pipeline whose file is broken: it shows the error in the UI and fails each day, so that Slack reports it."""
    said = str(error) if isinstance(error, ConfigurationError) else f"{file.name}: {type(error).__name__}: {error}"
    sentence = f"{said.rstrip('.')}."
    what_next = "Correct the file: Airflow reads it again by itself. The days without a run need a backfill then."
    with DAG(
        name or dag_id(file),
        schedule=CronDataIntervalTimetable(BROKEN_SCHEDULE.cron, timezone=BROKEN_SCHEDULE.timezone),
        start_date=first_moment(BROKEN_SCHEDULE),
        catchup=False,
        user_defined_macros=macros(BROKEN_SCHEDULE),
        tags=["retrain", "broken"],
        doc_md=f"**Broken:** {sentence}\n\n{what_next}",
        default_args={
            "owner": "unknown",  # the owner is in the file
            "execution_timeout": TASK_LIMIT,
            "on_failure_callback": Failed(dag_id(file)),
            "on_success_callback": Succeeded(dag_id(file)),
        },
        auto_register=False,
    ) as dag:

        @task(retries=0, doc_md="Fails with the error in the pipeline's file.")
        def read_configuration() -> None:
            raise ConfigurationError(f"{sentence} {what_next}") from error

        read_configuration()
    return dag


def dag_id(file: Path) -> str:
    """Return the id of the pipeline's DAG: the file's name, with characters that Airflow refuses replaced by their code."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda found: f".{ord(found.group()):x}.", file.stem)
