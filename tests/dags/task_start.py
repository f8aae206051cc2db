"""Start a task as Airflow's task runner does, and print which pipeline files were opened: `task_start.py DAG TASK`.

A process of its own, because a hook that counts opened files cannot be taken away again.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4


def main() -> None:
    """Parse the DAG file for one task; the DAGs folder is that of Airflow's configuration."""
    from airflow.executors.workloads import BundleInfo
    from airflow.sdk.api.datamodels._generated import DagRun, TIRunContext
    from airflow.sdk.api.datamodels._generated import TaskInstance as Instance
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import StartupDetails

    dag, task = sys.argv[1:]
    now = datetime.now(UTC)
    run = DagRun.model_validate(
        {"dag_id": dag, "run_id": "run", "run_type": "manual", "state": "running", "run_after": now, "start_date": now}
        | dict.fromkeys(("logical_date", "data_interval_start", "data_interval_end", "end_date", "partition_key"))
        | {"clear_number": 0, "conf": {}, "consumed_asset_events": []}
    )
    instance = Instance(
        id=uuid4(), task_id=task, dag_id=dag, run_id="run", try_number=1, dag_version_id=uuid4(), pool_slots=1, queue="q",
        priority_weight=1,
    )  # fmt: skip
    details = StartupDetails.model_construct(
        ti=instance,
        dag_rel_path="retrain_pipelines.py",
        bundle_info=BundleInfo(name="dags-folder"),
        start_date=now,
        ti_context=TIRunContext.model_construct(dag_run=run, max_tries=0),
        sentry_integration="",
    )
    opened: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(".yaml"):
            opened.append(Path(str(arguments[0])).name)

    sys.addaudithook(note)
    found, *_ = task_runner.startup(details)
    sys.stdout.write(json.dumps({"task": found.task.task_id, "dag": found.task.dag.dag_id, "opened": opened}))


if __name__ == "__main__":
    main()
