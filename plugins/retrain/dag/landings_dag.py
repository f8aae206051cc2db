"""The DAG that starts a day's run when S3 reports that the day's data has landed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from retrain.dag.broken_dag import broken_dag
from retrain.dag.defaults import first_moment, task_defaults
from retrain.deployment import dag_ids, landing_queues
from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Raw
from retrain.run import landings

DOC = (
    "Start a day's run on S3's message about its data (`trigger: event`). The scheduled run remains as the safety net."
)


def landings_dag(file: Path, deployment: Deployment, raw: Raw, readers: Mapping[str, Sequence[str]]) -> DAG:
    """Return the DAG that reads the messages of `raw.queue`.

    Args:
        file: the pipeline's file.
        deployment: its content.
        raw: its section `raw`, which has a queue.
        readers: the names of the files whose pipelines read a queue, by queue. With another reader the DAG is a broken one.
    """
    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    name = f"{deployment.pipeline}{dag_ids.LANDINGS}"
    if error := landing_queues.shared(deployment, readers):
        return broken_dag(file, error, name)
    where = {"sqs_queue": raw.queue or "", "aws_conn_id": deployment.aws_conn_id}
    messages = SqsSensorTrigger(**where, waiter_delay=raw.poke_seconds, max_messages=10)
    with DAG(
        name,
        description=f"Starts a run of {deployment.pipeline} when a partition has landed.",
        doc_md=DOC,
        schedule=[Asset(name, watchers=[AssetWatcher(name="sqs", trigger=messages)])],
        start_date=first_moment(deployment.schedule),
        catchup=False,
        tags=["retrain", *deployment.tags],
        default_args=task_defaults(deployment),
        auto_register=False,
    ) as dag:

        @task(doc_md="Reads landings from the messages. Safe to clear: a landing has one run, even if reported twice.")
        def read_messages(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
            return landings.runs(landings.messages(triggering_asset_events), raw, deployment.schedule)

        @task(doc_md="Fails with a message that is not S3's, or is another pipeline's. The others have their runs.")
        def refuse_others(triggering_asset_events: Any = None) -> None:
            landings.refuse_others(landings.messages(triggering_asset_events), raw)

        TriggerDagRunOperator.partial(
            task_id="start_run",
            trigger_dag_id=deployment.pipeline,
            logical_date=None,
            skip_when_already_exists=True,
            doc_md="Starts one run per landing; a repeated message is skipped.",
        ).expand_kwargs(read_messages())
        refuse_others()
    return dag
