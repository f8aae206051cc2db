"""### Retrain a DVC pipeline every day, from its pinned release

When the day's data has landed in S3, the pinned release runs `dvc repro` in a fresh workspace. Its outputs are pushed and proven
stored, the ledger and MLflow record the run, drift is checked, and the model is promoted if it is better. Slack reports only
problems that a person must act on. Git is never written to. Each file in `dags/pipelines/`, or in the folder that
RETRAIN_PIPELINES names, makes one DAG.

| Task | Does | Safe to clear? |
| --- | --- | --- |
| `wait_for_partition` | waits, deferred, for `dt=<partition>/_SUCCESS` | yes |
| `resolve_run` | decides which release, commit and raw objects this run uses | yes; it takes the *current* pin and data |
| `reproduce` | runs `dvc repro` in a fresh workspace, in the release's own environment | yes; finished stages come from the cache |
| `push` | runs `dvc push`, then proves that every object is on the remote | yes; Airflow clears `reproduce` with it |
| `record_run` | writes the ledger entry, then the MLflow run and the model version | yes; a run key is never recorded twice |
| `check_drift` | judges drift and error by earlier days; the watch alerts if it matters | yes; one verdict per run key |
| `promote` | compares challenger and champion, then moves the alias or says why not | yes |
| `remove_workspace` | removes this run's workspaces | yes |

**Partition**: the day on which the run's data interval starts, in the time zone of the pipeline's schedule; or the param `partition`.

**Backfill**: from the UI or with `airflow backfill create`; give `release` to rerun days with an older release. A backfill runs
beside the daily run, never promotes, and does not alert about drift. Dates without an offset are UTC.

**Triage**, by the cause that the alert names:

- DATA: send the alert's sentence to the data's owner; when the day has landed again, clear `wait_for_partition`.
- RELEASE: `make rollback`, then clear `resolve_run`.
- INFRA: wait until S3, MLflow or the disk is back, then clear the failed task.
- CODE: `make rollback`, clear `resolve_run`, and send the log to the release's author.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Asset, AssetWatcher, CronDataIntervalTimetable, Param, get_parsing_context, task
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowSkipException

from retrain.airflow.adapters import services
from retrain.alerts.callbacks import Failed, Succeeded
from retrain.deployment import dag_ids, landing_queues
from retrain.deployment.pipeline_file import Deployment, load
from retrain.deployment.sections import Schedule
from retrain.errors import ConfigurationError, FinalError
from retrain.results import WAIT_FOR_PARTITION, Json, Pushed, Recorded, Reproduced, Resolved
from retrain.run import landings, partition, release
from retrain.tasks.wait_for_partition import PartitionSensor

PIPELINES = Path(os.environ.get("RETRAIN_PIPELINES") or Path(__file__).parent / "pipelines")
queue_readers = cache(partial(landing_queues.readers, PIPELINES))  # it reads all files: once for all pipelines
PARTITION = "{{ partition_of(params, dag_run) }}"
RELEASE = "{{ params.release or '' }}"
# Compared, not printed: a run type prints as the name of its enum member.
MODE = "{{ 'backfill' if dag_run.run_type == 'backfill' else 'daily' }}"
PARAMS = {
    "partition": Param(
        None,
        type=["null", "string"],
        pattern=partition.PATTERN,
        format="date",
        description="YYYY-MM-DD; empty: the day on which the data interval starts, in the schedule's time zone",
    ),
    "release": Param(
        None, type=["null", "string"], pattern=release.PATTERN, description="vX.Y.Z; empty: the pinned release"
    ),
}
# The longest that one try of a task may take, well above the limits of its own steps. A try that hangs is ended and retried.
TASK_LIMIT = timedelta(hours=1)
PUSH_LIMIT = timedelta(hours=2)  # `dvc push` alone may take one hour
PROMOTE_LIMIT = timedelta(hours=2)  # it may build an environment, and scores two models
AROUND_REPRO = timedelta(hours=1)  # workspace and environment, on top of `limits.reproduce_minutes` for `dvc repro`
BROKEN_SCHEDULE = Schedule(cron="0 6 * * *", start_date=date(2018, 1, 1))  # in place of one that cannot be read


def pipeline_dag(deployment: Deployment) -> DAG:
    """Return the DAG that runs one pipeline every day."""
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
            task_id=WAIT_FOR_PARTITION,
            bucket_key=f"{deployment.raw.url}/dt={PARTITION}/{deployment.raw.marker}",
            aws_conn_id=deployment.aws_conn_id,
            poke_interval=deployment.raw.poke_seconds,
            timeout=deployment.raw.give_up_after_hours * 3600,
            execution_timeout=None,  # it would count the hours of waiting, which `timeout` limits
            deferrable=True,
            doc_md="Waits for the marker that is landed last. If it is late, ask the data's owner.",
        )

        # Each task imports its own module: a broken one fails its task, not the parsing of all DAGs.
        @task(doc_md="Decides release, commit and raw objects of this run. Clear it for corrected data or another pin.")
        def resolve_run(day: str, tag: str, dag_run_id: str, mode: str) -> Json:
            from retrain.tasks.resolve_run import resolve_run

            return resolve_run(services(deployment), day, tag or None, dag_run_id, mode).to_json()

        @task(
            doc_md="Runs `dvc repro` at the run's commit. The day's `dvc.lock`, metrics and model come from here.",
            execution_timeout=timedelta(minutes=deployment.limits.reproduce_minutes) + AROUND_REPRO,
        )
        def reproduce(run: Json) -> Json:
            from retrain.tasks.reproduce import reproduce

            return reproduce(services(deployment), Resolved.from_json(run)).to_json()

        @task(
            doc_md="Green means that every object in `dvc.lock` is on the remote, with the right content.",
            execution_timeout=PUSH_LIMIT,
        )
        def push(run: Json, reproduced: Json) -> Json:
            from retrain.tasks.push import push

            return push(services(deployment), Resolved.from_json(run), Reproduced.from_json(reproduced)).to_json()

        @task(doc_md="Writes the ledger entry of this run key, then its MLflow run and model version.")
        def record_run(run: Json, reproduced: Json, pushed: Json) -> Json:
            from retrain.tasks.record_run import record_run

            made = Resolved.from_json(run), Reproduced.from_json(reproduced), Pushed.from_json(pushed)
            return record_run(services(deployment), *made).to_json()

        @task(doc_md="Compares the day with the same weekdays of earlier weeks, and its error with earlier errors.")
        def check_drift(run: Json, reproduced: Json, recorded: Json, log_url: str) -> Json:
            from retrain.tasks.check_drift import check_drift

            made = Resolved.from_json(run), Reproduced.from_json(reproduced), Recorded.from_json(recorded)
            checked = check_drift(services(deployment), *made, log_url)
            if checked is None:
                raise AirflowSkipException("The pipeline's file has neither a section drift nor a section performance.")
            return checked.to_json()

        @task(
            doc_md="Consumers load the champion. Only a better model replaces it.",
            execution_timeout=PROMOTE_LIMIT,
        )
        def promote(run: Json, reproduced: Json, recorded: Json) -> Json:
            from retrain.tasks.promote import promote

            made = Resolved.from_json(run), Reproduced.from_json(reproduced), Recorded.from_json(recorded)
            promoted = promote(services(deployment), *made)
            if promoted is None:
                raise AirflowSkipException("The pipeline has no model to promote.")
            return promoted.to_json()

        @task(doc_md="Removes this run's workspaces, whether it succeeded or failed.")
        def remove_workspace(dag_run_id: str) -> Json:
            from retrain.tasks.remove_workspace import remove_workspace

            return remove_workspace(services(deployment), dag_run_id).to_json()

        run = resolve_run(PARTITION, RELEASE, "{{ run_id }}", MODE)
        reproduced = reproduce(run)
        recorded = record_run(run, reproduced, push(run, reproduced))
        checked = check_drift(run, reproduced, recorded, "{{ ti.log_url }}")
        promoted = promote(run, reproduced, recorded)
        landed >> run
        [checked, promoted] >> remove_workspace("{{ run_id }}").as_teardown(setups=reproduced)
    return dag


def task_defaults(deployment: Deployment) -> dict[str, Any]:
    """Return the defaults of every task of a pipeline. A FinalError is not retried; the callbacks write signals for the watch."""
    return {
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


def landings_dag(deployment: Deployment) -> DAG:
    """Start a day's run on S3's message about its marker (`trigger: event`). The scheduled run remains as the safety net."""
    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    name = f"{deployment.pipeline}{dag_ids.LANDINGS}"
    if error := landing_queues.shared(deployment, queue_readers()):
        return broken_dag(PIPELINES / f"{deployment.pipeline}.yaml", error, name)
    where = {"sqs_queue": deployment.raw.queue or "", "aws_conn_id": deployment.aws_conn_id}
    messages = SqsSensorTrigger(**where, waiter_delay=deployment.raw.poke_seconds, max_messages=10)
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

        @task(doc_md="Reads landings from the messages. Safe to clear: a landing has one run, even if reported twice.")
        def read_messages(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
            return landings.runs(landings.messages(triggering_asset_events), deployment.raw)

        @task(doc_md="Fails with a message that is not S3's, or is another pipeline's. The others have their runs.")
        def refuse_others(triggering_asset_events: Any = None) -> None:
            landings.refuse_others(landings.messages(triggering_asset_events), deployment.raw)

        TriggerDagRunOperator.partial(
            task_id="start_run",
            trigger_dag_id=deployment.pipeline,
            logical_date=None,
            skip_when_already_exists=True,
            doc_md="Starts one run per landing; a repeated message is skipped.",
        ).expand_kwargs(read_messages())
        refuse_others()
    return dag


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


def dags_of(file: Path, asked: str | None = None) -> list[DAG]:
    """Return the DAGs of a pipeline's file; if `asked` names one, only that DAG."""
    try:
        deployment = load(file, calendar=False)
        makers = {deployment.pipeline: pipeline_dag}
        if deployment.trigger == "event":
            makers[f"{deployment.pipeline}{dag_ids.LANDINGS}"] = landings_dag
        return [make(deployment) for name, make in makers.items() if asked in (None, name)]
    except Exception as error:  # noqa: BLE001 - pydantic or Airflow may raise anything over one file; the others keep their DAGs
        return [broken_dag(file, error)]


asked = get_parsing_context().dag_id  # set when a task starts: it needs its own DAG only
for file in sorted(PIPELINES.glob("*.yaml")):
    if asked in (None, dag_id(file), f"{dag_id(file)}{dag_ids.LANDINGS}"):
        for dag in dags_of(file, asked):
            # Airflow finds DAGs among the module's names. The prefix keeps a pipeline from replacing a name that this file uses.
            globals().setdefault(f"dag_{dag.dag_id}", dag)
