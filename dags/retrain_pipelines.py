"""### Retrain a DVC pipeline every day, from its pinned release

When the day's data has landed in S3, the pinned release runs `dvc repro` in a fresh workspace. Its outputs are pushed and proven
stored, the ledger and MLflow record the run, drift is checked, and the model is promoted if it is better. Slack reports only
problems that a person must act on. Git is never written to. Each file in `dags/pipelines/`, or in the folder that
RETRAIN_PIPELINES names, makes one DAG.

| Task | Does | Safe to clear? |
| --- | --- | --- |
| `wait_for_partition` | waits, deferred, until the day's raw data has landed | yes |
| `resolve_run` | decides which release, commit and raw objects this run uses | yes; it takes the *current* pin and data |
| `reproduce` | runs `dvc repro` in a fresh workspace, in the release's own environment | yes; finished stages come from the cache, fetched data from the ledger |
| `push` | runs `dvc push`, then proves that every object is on the remote | yes; Airflow clears `reproduce` with it |
| `record_run` | writes the ledger entry, then the MLflow run and the model version | yes; a run key is never recorded twice |
| `check_drift` | judges drift and error by earlier days; the watch alerts if it matters | yes; one verdict per run key |
| `promote` | compares challenger and champion, then moves the alias or says why not | yes |
| `remove_workspace` | removes this run's workspaces | yes |

**Partition**: the day on which the run's data interval starts, in the time zone of the pipeline's schedule; or the param `partition`.

**Backfill**: from the UI or with `airflow backfill create`; give `release` to rerun days with an older release. A backfill runs
beside the daily run, never promotes, and does not alert about drift. Dates without an offset are UTC.

**Fetch again**: a stage that the pipeline's file names under `fetch` asks for its data once; a repeated task or run takes what it got.
To fetch a day anew, trigger it with `refetch` one higher than before.

**Triage**, by the cause that the alert names:

- DATA: send the alert's sentence to the data's owner; when the day has landed again, clear `wait_for_partition`.
- RELEASE: `make rollback`, then clear `resolve_run`.
- INFRA: wait until S3, MLflow or the disk is back, then clear the failed task.
- CODE: `make rollback`, clear `resolve_run`, and send the log to the release's author.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_parsing_context, task
from airflow.sdk.exceptions import AirflowSkipException

from retrain.airflow.adapters import services
from retrain.dag.broken_dag import broken_dag, dag_id
from retrain.dag.defaults import first_moment, macros, task_defaults
from retrain.dag.landings_dag import landings_dag
from retrain.deployment import dag_ids, landing_queues
from retrain.deployment.pipeline_file import Deployment, load
from retrain.results import WAIT_FOR_PARTITION, Json, Pushed, Recorded, Reproduced, Resolved
from retrain.run import partition
from retrain.run.label import RELEASE_PATTERN
from retrain.run.tag_pattern import TagPattern
from retrain.tasks.wait_for_partition import PartitionSensor

PIPELINES = Path(os.environ.get("RETRAIN_PIPELINES") or Path(__file__).parent / "pipelines")
queue_readers = cache(partial(landing_queues.readers, PIPELINES))  # it reads all files: once for all pipelines
PARTITION = "{{ partition_of(params, dag_run) }}"
RELEASE = "{{ params.release or '' }}"
REFETCH = "{{ '' if params.get('refetch') is none else params.refetch }}"
# Compared, not printed: a run type prints as the name of its enum member.
MODE = "{{ 'backfill' if dag_run.run_type == 'backfill' else 'daily' }}"
PARTITION_PARAM = Param(
    None,
    type=["null", "string"],
    pattern=partition.PATTERN,
    format="date",
    description="YYYY-MM-DD; empty: the day on which the data interval starts, in the schedule's time zone",
)
# Only of pipelines with `fetch`.
REFETCH_PARAM = Param(
    None,
    type=["null", "integer"],
    minimum=0,
    description="empty: keep the data that was fetched for the day; a number one higher than before: fetch it again",
)
PUSH_LIMIT = timedelta(hours=2)  # `dvc push` alone may take one hour
PROMOTE_LIMIT = timedelta(hours=2)  # it may build an environment, and scores two models
AROUND_REPRO = timedelta(hours=1)  # workspace and environment, on top of `limits.reproduce_minutes` for `dvc repro`


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
        params={
            "partition": PARTITION_PARAM,
            "release": release_param(deployment),
            **({"refetch": REFETCH_PARAM} if deployment.fetch else {}),
        },
        user_defined_macros=macros(deployment.schedule),
        tags=["retrain", *deployment.tags],
        default_args=task_defaults(deployment),
        auto_register=False,
    ) as dag:
        # Each task imports its own module: a broken one fails its task, not the parsing of all DAGs.
        @task(doc_md="Decides release, commit and raw objects of this run. Clear it for corrected data or another pin.")
        def resolve_run(day: str, tag: str, dag_run_id: str, mode: str, refetch: str) -> Json:
            from retrain.tasks.resolve_run import resolve_run

            count = int(refetch) if refetch else None
            return resolve_run(services(deployment), day, tag or None, dag_run_id, mode, count).to_json()

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

        run = resolve_run(PARTITION, RELEASE, "{{ run_id }}", MODE, REFETCH)
        reproduced = reproduce(run)
        recorded = record_run(run, reproduced, push(run, reproduced))
        checked = check_drift(run, reproduced, recorded, "{{ ti.log_url }}")
        promoted = promote(run, reproduced, recorded)
        waiting(deployment) >> run
        [checked, promoted] >> remove_workspace("{{ run_id }}").as_teardown(setups=reproduced)
    return dag


def release_param(deployment: Deployment) -> Param:
    """Return the param that chooses a release. `resolve_run` says whether there is such a tag or label."""
    return Param(
        None,
        type=["null", "string"],
        pattern=RELEASE_PATTERN,
        description=f"a tag {TagPattern.of(deployment).form}, or a label; empty: the pinned release",
    )


def waiting(deployment: Deployment) -> list[PartitionSensor]:
    """Return the task that waits for the day's raw data; none for a pipeline whose stages fetch all their data themselves."""
    raw = deployment.raw
    if raw is None:
        return []
    return [
        PartitionSensor(
            task_id=WAIT_FOR_PARTITION,
            raw=raw,
            partition=PARTITION,
            aws_conn_id=deployment.aws_conn_id,
            execution_timeout=None,  # it would count the hours of waiting, which `give_up_after_hours` limits
            doc_md="Waits until the day's raw data has landed. If it is late, ask the data's owner.",
        )
    ]


def dags_of(file: Path, asked: str | None = None) -> list[DAG]:
    """Return the DAGs of a pipeline's file; if `asked` names one, only that DAG."""
    try:
        deployment = load(file, calendar=False)
        found = [pipeline_dag(deployment)] if asked in (None, deployment.pipeline) else []
        reads_messages = asked in (None, f"{deployment.pipeline}{dag_ids.LANDINGS}")
        if deployment.trigger == "event" and deployment.raw and reads_messages:
            found.append(landings_dag(file, deployment, deployment.raw, queue_readers()))
        return found
    except Exception as error:  # noqa: BLE001 - pydantic or Airflow may raise anything over one file; the others keep their DAGs
        return [broken_dag(file, error)]


asked = get_parsing_context().dag_id  # set when a task starts: it needs its own DAG only
for file in sorted(PIPELINES.glob("*.yaml")):
    if asked in (None, dag_id(file), f"{dag_id(file)}{dag_ids.LANDINGS}"):
        for dag in dags_of(file, asked):
            # Airflow finds DAGs among the module's names. The prefix keeps a pipeline from replacing a name that this file uses.
            globals().setdefault(f"dag_{dag.dag_id}", dag)
