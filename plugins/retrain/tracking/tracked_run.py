"""A finished run as it is logged in MLflow. The daily run and a rebuild log the same."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from retrain.archive.recorded_locks import document_of
from retrain.deployment.pipeline_file import Deployment
from retrain.run.run_record import Mirrored
from retrain.run.run_spec import RunSpec
from retrain.tracking.server import MlflowServer
from retrain.work.dvc.description import Description


@dataclass(frozen=True)
class TrackedRun:
    """A finished run, ready to be logged.

    `mode`: how its DAG run was started. `environment`: the identity of its environment. `metrics`: values by name. `raw_url`: the
    folder of the raw objects, empty if the run reads none. `described`: DVC's description of its checkout. `checkout`: the top of its
    DVC project, with the outputs that MLflow holds. `documents`: the files of run.yaml, manifest.json and the receipt. `locks`: the
    paths of its dvc.lock files in the checkout.
    """

    spec: RunSpec
    dag_run: str
    mode: str
    environment: str
    metrics: Mapping[str, float]
    raw_url: str
    described: Description
    checkout: Path
    documents: tuple[Path, ...]
    locks: tuple[str, ...]


def record(
    tracking: MlflowServer,
    deployment: Deployment,
    run: TrackedRun,
    *,
    at: datetime | None = None,
    version_tags: Mapping[str, str] | None = None,
) -> Mirrored:
    """Log a run and register its model, unless MLflow has them; returns where they are.

    Args:
        tracking: the MLflow server.
        deployment: the pipeline's file.
        run: the run.
        at: as for `MlflowServer.record`.
        version_tags: as for `MlflowServer.record`.

    Raises:
        TrackingError: MLflow refuses or does not answer.
        ReportError: a file that the pipeline declares is missing.
    """
    spec, model = run.spec, deployment.tracking.model
    models = run.described.existing(run.described.models, run.checkout) if model else []
    return tracking.record(
        experiment=deployment.tracking.experiment,
        name=f"{spec.partition} {spec.release}",
        tags={**spec.to_dict(), "dag_run": run.dag_run, "mode": run.mode, "environment": run.environment},
        params=run.described.params,
        metrics=run.metrics,
        dataset=(f"{spec.pipeline}/dt={spec.partition}", spec.manifest_digest, run.raw_url) if run.raw_url else None,
        artifacts=lambda: _artifacts(deployment, run),
        model=(model, run.checkout / models[0]) if model and models else None,
        at=at,
        version_tags=version_tags,
    )


def present_in(described: Description, checkout: Path) -> Description:
    """The description without the metrics, plots and models that are not in the checkout, because DVC does not store them."""

    def there(path: str) -> bool:
        return (checkout / path).exists()

    return replace(
        described,
        metrics={path: values for path, values in described.metrics.items() if there(path)},
        plots=tuple(filter(there, described.plots)),
        artifacts=tuple(each for each in described.artifacts if each.type != "model" or there(each.path)),
    )


def address(where: Mirrored) -> str:
    """The URL of a run in MLflow's UI. Without the workflow type, MLflow 3 shows its pages for language models."""
    server = os.environ.get("RETRAIN_MLFLOW_URL", "").rstrip("/")
    return f"{server}/#/experiments/{where.experiment_id}/runs/{where.run_id}?workflowType=machine_learning"


def paths_of(deployment: Deployment, described: Description) -> list[str]:
    """The paths of a run's files that MLflow holds: metrics, plots, models, the drift report and its picture.

    The pipeline's file names the last two; dvc.yaml need not declare them.
    """
    return [*_reports(deployment, described), *described.models]


def _reports(deployment: Deployment, described: Description) -> list[str]:
    drift = [deployment.drift.report, deployment.drift.picture] if deployment.drift else []
    return list(dict.fromkeys([*described.metrics, *described.plots, *(path for path in drift if path)]))


def _artifacts(deployment: Deployment, run: TrackedRun) -> Iterator[tuple[Path, str | None]]:
    for document in run.documents:
        yield document, "run"
    for lock in run.locks:
        yield run.checkout / lock, posixpath.join("run", posixpath.dirname(document_of(lock))).rstrip("/")
    declared = [*run.described.metrics, *run.described.plots]
    run.described.existing(declared, run.checkout)
    for path in map(Path, _reports(deployment, run.described)):
        if (run.checkout / path).exists():
            yield run.checkout / path, str(path.parent) if path.parent != Path() else None
