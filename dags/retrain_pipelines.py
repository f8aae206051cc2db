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
| `record_run` | MLflow run and model version, then the ledger entry | yes; found again by run key, never twice |
| `check_drift` | judges drift and the error by the days before; the watch tells if it matters | yes; one verdict a run key |
| `promote` | challenger against champion, moves the alias or says why not | yes |
| `remove_workspace` | removes this run's workspaces | yes |

**Backfill**: from the UI or `airflow backfill create`, with `release` to rerun with an older one; it runs beside the daily run,
never promotes, and is quiet about drift.

**Triage**: DATA - see the sentence, tell the data's owner, clear `wait_for_partition` when mended. RELEASE - `make rollback`,
clear `resolve_run`. INFRA - clear the failed task once S3, MLflow or the disk is back. CODE - `make rollback`, tell the release's author.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, CronDataIntervalTimetable, Param, task
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from retrain import landings, partition, release, steps
from retrain.alerts.callbacks import Failed, Succeeded
from retrain.deployment import Deployment, load
from retrain.errors import ConfigurationError, FinalError
from retrain.sensors import PartitionSensor

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
        description="YYYY-MM-DD; empty: the data interval's day",
    ),
    "release": Param(
        None, type=["null", "string"], pattern=release.PATTERN, description="vX.Y.Z; empty: the pinned release"
    ),
}


def pipeline_dag(deployment: Deployment) -> DAG:
    """The daily run of one deployed pipeline."""
    with DAG(
        deployment.pipeline,
        description=deployment.description,
        doc_md=__doc__,
        # Spelled out: a bare cron string has no data interval in Airflow 3.
        schedule=CronDataIntervalTimetable(deployment.schedule.cron, timezone=deployment.schedule.timezone),
        start_date=datetime.combine(deployment.schedule.start_date, time.min, tzinfo=UTC),
        catchup=False,
        params=PARAMS,
        user_defined_macros={"partition_of": partition.of_template},
        tags=["retrain", *deployment.tags],
        default_args=task_defaults(deployment),
    ) as dag:
        landed = PartitionSensor(
            task_id="wait_for_partition",
            bucket_key=f"{deployment.raw.url}/dt={PARTITION}/{deployment.raw.marker}",
            aws_conn_id=deployment.aws_conn_id,
            poke_interval=deployment.raw.poke_seconds,
            timeout=deployment.raw.give_up_after_hours * 3600,
            deferrable=True,
            doc_md="Waits for the marker that a landing ends with. Late: ask the data's owner.",
        )

        @task(doc_md="Fixes what this run is a function of. Clear it to take a corrected partition or another pin.")
        def resolve_run(day: str, tag: str, dag_run_id: str, mode: str) -> dict[str, Any]:
            return steps.resolve_run(deployment, day, tag or None, dag_run_id, mode)

        @task(doc_md="`dvc repro` of the run's commit. The day's `dvc.lock`, metrics and model come from here.")
        def reproduce(run: dict[str, Any]) -> dict[str, Any]:
            return steps.reproduce(deployment, run)

        @task(doc_md="Green means: every object that dvc.lock names is on the remote, with the right content.")
        def push(run: dict[str, Any], reproduced: dict[str, Any]) -> dict[str, Any]:
            return steps.push(deployment, run, reproduced)

        @task(doc_md="MLflow run, model version and ledger entry of this run key.")
        def record_run(run: dict[str, Any], reproduced: dict[str, Any], pushed: dict[str, Any]) -> dict[str, Any]:
            return steps.record_run(deployment, run, reproduced, pushed)

        @task(
            doc_md="The day against the same weekdays of the four weeks before, and its error against what it has been."
        )
        def check_drift(
            run: dict[str, Any], reproduced: dict[str, Any], recorded: dict[str, Any], log_url: str
        ) -> dict[str, Any]:
            return steps.check_drift(deployment, run, reproduced, recorded, log_url)

        @task(doc_md="The champion is what consumers load; only something better takes its place.")
        def promote(run: dict[str, Any], reproduced: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
            return steps.promote(deployment, run, reproduced, recorded)

        @task(doc_md="Removes this run's workspaces, however it ended.")
        def remove_workspace(dag_run_id: str) -> list[str]:
            return steps.remove_workspace(deployment, dag_run_id)

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
    """What every task of a pipeline has: its owner, its retries (none of what is final), and its callbacks, which write signals."""
    return {
        "owner": deployment.owner,
        "retries": deployment.limits.retries,
        "retry_delay": timedelta(seconds=deployment.limits.retry_seconds),
        "retry_exponential_backoff": 2,  # a multiplier: True would be 1, which is none
        "retry_policy": ExceptionRetryPolicy([RetryRule(FinalError, RetryAction.FAIL)]),
        "on_failure_callback": Failed(deployment.pipeline),
        "on_success_callback": Succeeded(deployment.pipeline),
    }


def landings_dag(deployment: Deployment) -> DAG:
    """`trigger: event`: starts a day's run on S3's message about its marker. A run of the schedule is the safety net."""
    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    name = f"{deployment.pipeline}_landings"
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
        start_date=datetime.combine(deployment.schedule.start_date, time.min, tzinfo=UTC),
        catchup=False,
        tags=["retrain", *deployment.tags],
        default_args=task_defaults(deployment),
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


def broken_dag(pipeline: str, error: ConfigurationError) -> DAG:
    """In place of a pipeline whose file is broken: it says so in the UI and fails each day, the others run."""
    with DAG(
        pipeline,
        schedule="@daily",
        start_date=datetime(2018, 1, 1, tzinfo=UTC),
        catchup=False,
        tags=["retrain", "broken"],
        doc_md=f"**Broken:** {error}",
    ) as dag:

        @task(retries=0)
        def read_configuration() -> None:
            load(PIPELINES / f"{pipeline}.yaml")
            raise ConfigurationError(
                f"{pipeline}.yaml was broken when this DAG was read and is not any more. Clear this task."
            ) from error

        read_configuration()
    return dag


for file in sorted(PIPELINES.glob("*.yaml")):
    try:
        deployment = load(file)
        globals()[file.stem] = pipeline_dag(deployment)
        if deployment.trigger == "event":
            globals()[f"{file.stem}_landings"] = landings_dag(deployment)
    except ConfigurationError as error:
        globals()[file.stem] = broken_dag(file.stem, error)
