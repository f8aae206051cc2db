"""Does Airflow know the pipeline's DAG? Asks for all DAGs once in ten minutes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from retrain.alerts.errors import UnknownDagError
from retrain.alerts.signal import Signal
from retrain.alerts.watch.observe.inquiry import Inquiry
from retrain.deployment.pipeline_file import Deployment


def known_dag(inquiry: Inquiry, deployment: Deployment, _now: datetime) -> Iterator[Signal]:
    """No signal: a missing DAG is a problem of the look until the deadline of the day that it does not run.

    Raises:
        UnknownDagError: Airflow knows no such DAG.
        AirflowApiError: Airflow refused the question, or did not answer it.
    """
    yield from ()
    if not inquiry.fleet.knows(deployment.pipeline):
        raise UnknownDagError(
            f"Airflow knows no DAG {deployment.pipeline}. Its file may be missing or broken: open the DAGs' import errors in Airflow."
        )
