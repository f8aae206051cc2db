"""### Keep the shared volume within limits

Every day old files are removed from RETRAIN_HOME and from Airflow's logs. Only logs are lost: all else comes back from the DVC
remote, the raw bucket, the Git origin or the package index, or is computed again. The remote and the ledger are never touched
(`make prune` cleans the remote). The limits are in `dags/housekeeping.yaml`.

| Task | Removes | Had again |
| --- | --- | --- |
| `remove_workspaces` | workspaces that no task used for `workspaces_days` | by running the day again |
| `clean_dvc_caches` | objects that neither the newest `keep_days` recorded days nor a workspace needs | from the remote, or computed |
| `clean_run_caches` | entries of run caches whose outputs are gone | computed |
| `clean_raw_caches` | raw objects that neither these days nor a workspace reads | from the raw bucket |
| `remove_environments` | environments and packages that nothing used for `environments_days` | from the package index |
| `pack_git_mirrors` | mirrors that no pipeline names and nothing used; the others are packed | from the Git origin |
| `remove_retired_pipelines` | caches of pipelines that have no file any more | by deploying it again |
| `remove_files_put_aside` | `*.corrupt-*` after `corrupt_days`, files that the watch refused after `garbage_days` | not needed |
| `remove_lock_files` | lock files that nobody locked for `workspaces_days` | made when needed |
| `remove_task_logs` | logs of tasks and of the dag-processor older than `task_logs_days` | no |
| `check_metadata_database` | nothing: shows the last cleaning of Airflow's database, and fails if that failed or is overdue | - |

Each task returns and logs how much it freed and how much stays. The tasks run one after another, and none needs another one: each
may be cleared at any time, also while pipelines run.

**Try it**: trigger it with `dry_run`; it says what would be freed and removes nothing. `keep_days` replaces the file's for one run.

**Triage**: read the failed task's log. It names each pipeline or folder that was not cleaned. Models are not affected; the volume
grows until it is fixed. The next run cleans what this one left.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, get_parsing_context, task

from retrain.alerts.callbacks import Failed, Succeeded
from retrain.deployment import housekeeping_file
from retrain.deployment.dag_ids import HOUSEKEEPING
from retrain.deployment.housekeeping_file import HousekeepingLimits, load_housekeeping
from retrain.errors import ConfigurationError

PIPELINES = Path(os.environ.get("RETRAIN_PIPELINES") or Path(__file__).parent / "pipelines")
PARAMS = {
    "dry_run": Param(False, type="boolean", description="say what would be freed, and remove nothing"),
    "keep_days": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        description="recorded days of each pipeline whose objects stay; empty: the file's keep_days",
    ),
}
TASK_LIMIT = timedelta(hours=2)
WHAT_NEXT = "Fix the fault named above. The next run cleans what this one left; or clear `{task}`."
# Stands in for a file that cannot be read.
BROKEN_LIMITS = HousekeepingLimits(schema_version=1, owner="unknown")

Json = dict[str, Any]


def begun(params: Any) -> Any:
    """Return this run of the housekeeping, with the params that it was triggered with."""
    from retrain.housekeeping.housekeeping_run import begin

    return begin(load_housekeeping(housekeeping_file.path()), params, PIPELINES)


# Each task imports its own module: a broken one fails its task, not the parsing of the DAG.
@task(doc_md="Removes the workspaces of runs that ended without removing them.")
def remove_workspaces(params: Any = None) -> Json:
    from retrain.housekeeping import workspaces

    return workspaces.clean(begun(params)).to_json()


@task(doc_md="Removes objects that neither a kept day nor a workspace needs. The remote has them.")
def clean_dvc_caches(params: Any = None) -> Json:
    from retrain.housekeeping import dvc_caches

    return dvc_caches.clean(begun(params)).to_json()


@task(doc_md="Removes entries whose outputs are gone, and run caches of environments that nothing uses.")
def clean_run_caches(params: Any = None) -> Json:
    from retrain.housekeeping import run_caches

    return run_caches.clean(begun(params)).to_json()


@task(doc_md="Removes raw objects that neither a kept day nor a workspace reads. The raw bucket has them.")
def clean_raw_caches(params: Any = None) -> Json:
    from retrain.housekeeping import raw_caches

    return raw_caches.clean(begun(params)).to_json()


@task(doc_md="Removes environments and resolutions that nothing used for long, and prunes uv's cache.")
def remove_environments(params: Any = None) -> Json:
    from retrain.housekeeping import environments

    return environments.clean(begun(params)).to_json()


@task(doc_md="Removes mirrors that no pipeline names and nothing used for long, and packs the objects of the others.")
def pack_git_mirrors(params: Any = None) -> Json:
    from retrain.housekeeping import git_mirrors

    return git_mirrors.clean(begun(params)).to_json()


@task(doc_md="Removes caches of pipelines that have no file and no workspace any more.")
def remove_retired_pipelines(params: Any = None) -> Json:
    from retrain.housekeeping import retired_pipelines

    return retired_pipelines.clean(begun(params)).to_json()


@task(doc_md="Removes files that were put aside for people to look at, once they are old.")
def remove_files_put_aside(params: Any = None) -> Json:
    from retrain.housekeeping import put_aside

    return put_aside.clean(begun(params)).to_json()


@task(doc_md="Removes lock files that nobody has locked for long.")
def remove_lock_files(params: Any = None) -> Json:
    from retrain.housekeeping import lock_files

    return lock_files.clean(begun(params)).to_json()


@task(doc_md="Removes old logs of tasks and of the dag-processor.")
def remove_task_logs(params: Any = None) -> Json:
    from retrain.airflow.log_folders import log_folders
    from retrain.housekeeping import task_logs

    return task_logs.clean(begun(params), log_folders()).to_json()


@task(doc_md="Shows the last cleaning of Airflow's database. Fails if that failed, or is over two days old.")
def check_metadata_database() -> Json:
    from retrain.housekeeping.database import first_cleaning, last_cleaning
    from retrain.work.workspace import home

    now = datetime.now(UTC)
    return dict((first_cleaning(home(), now) or last_cleaning(home(), now)).to_json())


def housekeeping_dag(limits: HousekeepingLimits) -> DAG:
    """Return the DAG that cleans the shared volume every day."""
    with DAG(
        HOUSEKEEPING,
        description="Keeps the shared volume and Airflow's logs within limits.",
        doc_md=__doc__,
        schedule=daily(limits),
        catchup=False,
        is_paused_upon_creation=False,  # the volume of a new deployment grows too
        max_active_runs=1,
        max_active_tasks=1,  # they share a disk
        params=PARAMS,
        tags=["retrain", "housekeeping", *limits.tags],
        default_args=task_defaults(limits),
    ) as dag:
        remove_workspaces()
        clean_dvc_caches()
        clean_run_caches()
        clean_raw_caches()
        remove_environments()
        pack_git_mirrors()
        remove_retired_pipelines()
        remove_files_put_aside()
        remove_lock_files()
        remove_task_logs()
        check_metadata_database()
    return dag


def daily(limits: HousekeepingLimits) -> CronTriggerTimetable:
    """Return the schedule. A new deployment has nothing to clean: its first run is at the next time of day, not at once.

    That holds only without a start_date. From the first run on, a run that was missed is made up for.
    """
    # Airflow asks again whenever it has read this file, also in the moment in which the first run is due.
    return CronTriggerTimetable(limits.cron, timezone=limits.timezone, run_immediately=timedelta(minutes=10))


def task_defaults(limits: HousekeepingLimits) -> dict[str, Any]:
    """Return the defaults of every task. The callbacks write signals for the watch."""
    return {
        "owner": limits.owner,
        "execution_timeout": TASK_LIMIT,
        "retries": 1,
        "retry_delay": timedelta(minutes=10),
        "on_failure_callback": Failed(HOUSEKEEPING, WHAT_NEXT),
        "on_success_callback": Succeeded(HOUSEKEEPING),
    }


def broken_dag(error: ConfigurationError) -> DAG:
    """Return a DAG for a file that is broken: it shows the error in the UI and fails each day, so that Slack reports it."""
    with DAG(
        HOUSEKEEPING,
        doc_md=f"**Broken:** {error}\n\nNothing is cleaned until it is corrected.",
        schedule=daily(BROKEN_LIMITS),
        catchup=False,
        is_paused_upon_creation=False,  # the volume of a new deployment grows too
        max_active_runs=1,
        tags=["retrain", "broken"],
        default_args=task_defaults(BROKEN_LIMITS),
    ) as dag:

        @task(retries=0, doc_md="Fails with the error in the file of the limits.")
        def read_configuration() -> None:
            raise ConfigurationError(f"{error} Nothing was cleaned.") from error

        read_configuration()
    return dag


if get_parsing_context().dag_id in (None, HOUSEKEEPING):  # set when a task starts, to the DAG that it needs
    try:
        dag = housekeeping_dag(load_housekeeping(housekeeping_file.path()))
    except ConfigurationError as error:
        dag = broken_dag(error)
