"""The task `remove_workspace`: removes the workspaces of a run."""

from __future__ import annotations

from retrain.results import Removed
from retrain.services import Services
from retrain.work import workspace


def remove_workspace(services: Services, dag_run: str) -> Removed:
    """Remove the workspaces of all attempts of a DAG run. The housekeeping removes those that other runs left behind.

    The outputs of a green run are in the cache, on the remote and in the ledger by then.

    Args:
        services: the services of the pipeline.
        dag_run: the id of the DAG run.
    """
    return Removed(tuple(workspace.remove(services.pipeline, dag_run)))
