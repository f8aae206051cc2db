"""### Retrain a DVC pipeline every day, from its pinned release

When the day's data has landed in S3, the pinned release runs `dvc repro` in a workspace of its own, its outputs are pushed
and proven stored, MLflow records them, drift is checked, and the model is promoted if it is better. Slack hears only what a
person must act on. Git is never written to. One DAG a file in `dags/pipelines/`, or in the folder that RETRAIN_PIPELINES names.

| Task | Does | Safe to clear? |
| --- | --- | --- |
| `wait_for_partition` | waits, deferred, for `dt=<partition>/_SUCCESS` | yes |
| `resolve_run` | fixes release, commit and raw objects of this run | yes; it takes the pin and the data of *now* |
| `reproduce` | fresh workspace, the release's own environment, `dvc repro` | yes; finished stages come from the cache |
| `push` | `dvc push`, then proves every object on the remote | yes; Airflow clears `reproduce` with it |
| `record_run` | the ledger entry, then MLflow run and model version | yes; found again by run key, never twice |
| `check_drift` | judges drift and the error by the days before; the watch tells if it matters | yes; one verdict a run key |
| `promote` | challenger against champion, moves the alias or says why not | yes |
| `remove_workspace` | removes this run's workspaces | yes |

**Partition**: the day on which the run's data interval starts, in the time zone of the pipeline's schedule, or `partition`.

**Backfill**: from the UI or `airflow backfill create`, with `release` to rerun with an older one; it runs beside the daily run,
never promotes, and is quiet about drift. Dates without an offset are UTC.

**Triage**: DATA - see the sentence, tell the data's owner, clear `wait_for_partition` when it has landed again. RELEASE - `make rollback`,
clear `resolve_run`. INFRA - clear the failed task once S3, MLflow or the disk is back. CODE - `make rollback`, tell the release's author.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Asset, AssetWatcher, CronDataIntervalTimetable, Param, get_parsing_context, task
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowSkipException

from retrain.airflow.adapters import services
from retrain.alerts.callbacks import Failed, Succeeded
from retrain.deployment.pipeline_file import LANDINGS, Deployment, load
from retrain.deployment.sections import Schedule
from retrain.errors import ConfigurationError, FinalError
from retrain.results import Json, Pushed, Recorded, Reproduced, Resolved
from retrain.run import landings, partition, release
from retrain.tasks import steps
from retrain.tasks.wait_for_partition import PartitionSensor

PIPELINES = Path(os.environ.get("RETRAIN_PIPELINES") or Path(__file__).parent / "pipelines")
PARTITION = "{{ partition_of(params, dag_run) }}"
RELEASE = "{{ params.release or '' }}"
# Compared, not printed: a run type prints as the name of its enumeration.
MODE = "{{ 'backfill' if dag_run.run_type == 'backfill' else 'daily' }}"
PARAMS = {
    "partition": Param(
        None,
        type=["null", "string"],
        pattern=partition.PATTERN,
        format="date",
        description="YYYY-MM-DD; empty: the day that the data interval starts on, in the schedule's time zone",
    ),
    "release": Param(
        None, type=["null", "string"], pattern=release.PATTERN, description="vX.Y.Z; empty: the pinned release"
    ),
}
# What one try of a task may take, well above what its own steps may: one that hangs is ended, told and tried again.
TASK_LIMIT = timedelta(hours=1)
PUSH_LIMIT = timedelta(hours=2)  # `dvc push` alone may take one
PROMOTE_LIMIT = timedelta(hours=2)  # an environment and two models to score
AROUND_REPRO = timedelta(hours=1)  # workspace and environment, beside `limits.reproduce_minutes` of `dvc repro`
# In place of a schedule that cannot be read.
BROKEN_SCHEDULE = Schedule(cron="0 6 * * *", start_date=date(2018, 1, 1))


def pipeline_dag(deployment: Deployment) -> DAG:
    """The daily run of one deployed pipeline."""
    with DAG(
        deployment.pipeline,
        description=deployment.description,
        doc_md=__doc__,
        # Spelled out: a bare cron string has no data interval in Airflow 3.
        schedule=CronDataIntervalTimetable(deployment.schedule.cron, timezone=deployment.schedule.timezone),
        start_date=first_moment(deployment.schedule),
        catchup=False,
        params=PARAMS,
        user_defined_macros=macros(deployment.schedule),
        tags=["retrain", *deployment.tags],
        default_args=task_defaults(deployment),
        auto_register=False,
    ) as dag:
        landed = PartitionSensor(
            task_id="wait_for_partition",
            bucket_key=f"{deployment.raw.url}/dt={PARTITION}/{deployment.raw.marker}",
            aws_conn_id=deployment.aws_conn_id,
            poke_interval=deployment.raw.poke_seconds,
            timeout=deployment.raw.give_up_after_hours * 3600,
            execution_timeout=None,  # it would count the hours of waiting: `timeout` ends them
            deferrable=True,
            doc_md="Waits for the marker that a landing ends with. Late: ask the data's owner.",
        )

        @task(doc_md="Fixes what this run is a function of. Clear it to take a corrected partition or another pin.")
        def resolve_run(day: str, tag: str, dag_run_id: str, mode: str) -> Json:
            return steps.resolve_run(services(deployment), day, tag or None, dag_run_id, mode).to_json()

        @task(
            doc_md="`dvc repro` of the run's commit. The day's `dvc.lock`, metrics and model come from here.",
            execution_timeout=timedelta(minutes=deployment.limits.reproduce_minutes) + AROUND_REPRO,
        )
        def reproduce(run: Json) -> Json:
            return steps.reproduce(services(deployment), Resolved.from_json(run)).to_json()

        @task(
            doc_md="Green means: every object that dvc.lock names is on the remote, with the right content.",
            execution_timeout=PUSH_LIMIT,
        )
        def push(run: Json, reproduced: Json) -> Json:
            return steps.push(services(deployment), Resolved.from_json(run), Reproduced.from_json(reproduced)).to_json()

        @task(doc_md="The ledger entry of this run key, then its MLflow run and model version.")
        def record_run(run: Json, reproduced: Json, pushed: Json) -> Json:
            return steps.record_run(
                services(deployment),
                Resolved.from_json(run),
                Reproduced.from_json(reproduced),
                Pushed.from_json(pushed),
            ).to_json()

        @task(
            doc_md="The day against the same weekdays of the four weeks before, and its error against what it has been."
        )
        def check_drift(run: Json, reproduced: Json, recorded: Json, log_url: str) -> Json:
            made = Resolved.from_json(run), Reproduced.from_json(reproduced), Recorded.from_json(recorded)
            checked = steps.check_drift(services(deployment), *made, log_url)
            if checked is None:
                raise AirflowSkipException("This pipeline declares no drift report and no error.")
            return checked.to_json()

        @task(
            doc_md="The champion is what consumers load; only something better takes its place.",
            execution_timeout=PROMOTE_LIMIT,
        )
        def promote(run: Json, reproduced: Json, recorded: Json) -> Json:
            made = Resolved.from_json(run), Reproduced.from_json(reproduced), Recorded.from_json(recorded)
            promoted = steps.promote(services(deployment), *made)
            if promoted is None:
                raise AirflowSkipException("This pipeline has no model to promote.")
            return promoted.to_json()

        @task(doc_md="Removes this run's workspaces, however it ended.")
        def remove_workspace(dag_run_id: str) -> Json:
            return steps.remove_workspace(services(deployment), dag_run_id).to_json()

        run = resolve_run(PARTITION, RELEASE, "{{ run_id }}", MODE)
        reproduced = reproduce(run)
        recorded = record_run(run, reproduced, push(run, reproduced))
        checked, promoted = (
            check_drift(run, reproduced, recorded, "{{ ti.log_url }}"),
            promote(run, reproduced, recorded),
        )
        landed >> run
        [checked, promoted] >> remove_workspace("{{ run_id }}").as_teardown(setups=reproduced)
    return dag


def task_defaults(deployment: Deployment) -> dict[str, Any]:
    """What every task of a pipeline has: owner, limit of time, retries (none of what is final), and callbacks, which write signals."""
    return {
        "owner": deployment.owner,
        "execution_timeout": TASK_LIMIT,
        "retries": deployment.limits.retries,
        "retry_delay": timedelta(seconds=deployment.limits.retry_seconds),
        "retry_exponential_backoff": 2,  # a multiplier: True would be 1, which is none
        "retry_policy": ExceptionRetryPolicy([RetryRule(FinalError, RetryAction.FAIL)]),
        "on_failure_callback": Failed(deployment.pipeline),
        "on_success_callback": Succeeded(deployment.pipeline),
    }


def macros(schedule: Schedule) -> dict[str, Any]:
    """What templates and callbacks may call."""
    return {partition.MACRO: partial(partition.of_template, schedule=schedule)}


def first_moment(schedule: Schedule) -> datetime:
    """When the first day begins, as Airflow keeps it."""
    return datetime.combine(schedule.start_date, time.min, ZoneInfo(schedule.timezone)).astimezone(UTC)


def landings_dag(deployment: Deployment) -> DAG:
    """`trigger: event`: starts a day's run on S3's message about its marker. A run of the schedule is the safety net."""
    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    name = f"{deployment.pipeline}{LANDINGS}"
    messages = SqsSensorTrigger(
        sqs_queue=deployment.raw.queue or "",
        aws_conn_id=deployment.aws_conn_id,
        waiter_delay=deployment.raw.poke_seconds,
        max_messages=10,
    )
    with DAG(
        name,
        description=f"Starts a run of {deployment.pipeline} when a partition has landed.",
        doc_md=landings_dag.__doc__,
        schedule=[Asset(name, watchers=[AssetWatcher(name="sqs", trigger=messages)])],
        start_date=first_moment(deployment.schedule),
        catchup=False,
        tags=["retrain", *deployment.tags],
        default_args=task_defaults(deployment),
        auto_register=False,
    ) as dag:

        @task(
            doc_md="The landings that the messages tell of. Clear it: a landing has one run, however often it is told."
        )
        def read_messages(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
            return landings.runs(landings.messages(triggering_asset_events), deployment.raw)

        @task(doc_md="Fails if a message is none of S3's, and shows it. The landings of the others have their runs.")
        def refuse_others(triggering_asset_events: Any = None) -> None:
            landings.refuse_others(landings.messages(triggering_asset_events))

        TriggerDagRunOperator.partial(
            task_id="start_run",
            trigger_dag_id=deployment.pipeline,
            logical_date=None,
            skip_when_already_exists=True,
            doc_md="One run a landing; a message that came twice is skipped.",
        ).expand_kwargs(read_messages())
        refuse_others()
    return dag


def broken_dag(file: Path, error: Exception) -> DAG:
    """In place of a pipeline whose file is broken: it says so in the UI and fails each day, which is told; the others run."""
    said = str(error) if isinstance(error, ConfigurationError) else f"{file.name}: {type(error).__name__}: {error}"
    sentence = f"{said.rstrip('.')}."
    what_next = "Correct the file: Airflow reads it again by itself. The days without a run need a backfill then."
    with DAG(
        dag_id(file),
        schedule=CronDataIntervalTimetable(BROKEN_SCHEDULE.cron, timezone=BROKEN_SCHEDULE.timezone),
        start_date=first_moment(BROKEN_SCHEDULE),
        catchup=False,
        user_defined_macros=macros(BROKEN_SCHEDULE),
        tags=["retrain", "broken"],
        doc_md=f"**Broken:** {sentence}\n\n{what_next}",
        default_args={
            "owner": "unknown",  # the file says who
            "execution_timeout": TASK_LIMIT,
            "on_failure_callback": Failed(dag_id(file)),
            "on_success_callback": Succeeded(dag_id(file)),
        },
        auto_register=False,
    ) as dag:

        @task(retries=0, doc_md="Fails with what is wrong with the pipeline's file.")
        def read_configuration() -> None:
            raise ConfigurationError(f"{sentence} {what_next}") from error

        read_configuration()
    return dag


def dag_id(file: Path) -> str:
    """The name of the pipeline's DAG: the file's, without what Airflow refuses in a name."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda found: f".{ord(found.group()):x}.", file.stem)


def dags_of(file: Path, asked: str | None = None) -> list[DAG]:
    """The DAGs of a pipeline's file, or the one that is asked for."""
    try:
        deployment = load(file, calendar=False)
        makers = {deployment.pipeline: pipeline_dag}
        if deployment.trigger == "event":
            makers[f"{deployment.pipeline}{LANDINGS}"] = landings_dag
        return [make(deployment) for name, make in makers.items() if asked in (None, name)]
    except Exception as error:  # noqa: BLE001 - whatever one file makes pydantic or Airflow raise, the others have their DAGs
        return [broken_dag(file, error)]


asked = get_parsing_context().dag_id  # by a task that starts, which needs its own DAG alone
for file in sorted(PIPELINES.glob("*.yaml")):
    if asked in (None, dag_id(file), f"{dag_id(file)}{LANDINGS}"):
        for dag in dags_of(file, asked):
            # Airflow looks for DAGs among the module's names. The prefix keeps a pipeline from taking one that this file needs.
            globals().setdefault(f"dag_{dag.dag_id}", dag)
