"""A finished run as MLflow holds it: the same whether the run itself is logged or a rebuild logs it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retrain.deployment.pipeline_file import Deployment
from retrain.run.run_record import Mirrored
from retrain.run.run_spec import RunSpec
from retrain.tracking.server import Tracking
from retrain.work.dvc.description import Description


@dataclass(frozen=True)
class TrackedRun:
    """What a run leaves behind.

    `checkout` holds run.yaml, manifest.json, dvc.lock and the outputs that MLflow holds too; `receipt` is the file of that name.
    """

    spec: RunSpec
    dag_run: str
    mode: str
    environment: str
    metrics: Mapping[str, float]
    raw_url: str
    described: Description
    checkout: Path
    receipt: Path


def record(
    tracking: Tracking,
    deployment: Deployment,
    run: TrackedRun,
    *,
    at: datetime | None = None,
    version_tags: Mapping[str, str] | None = None,
) -> Mirrored:
    """Find or make the run's MLflow run and its model version. `at` and `version_tags` as in `Tracking.record`."""
    spec, model = run.spec, deployment.tracking.model
    models = run.described.existing(run.described.models, run.checkout) if model else []
    return tracking.record(
        experiment=deployment.tracking.experiment,
        name=f"{spec.partition} {spec.release}",
        tags={**spec.to_dict(), "dag_run": run.dag_run, "mode": run.mode, "environment": run.environment},
        params=run.described.params,
        metrics=run.metrics,
        dataset=(f"{spec.pipeline}/dt={spec.partition}", spec.manifest_digest, run.raw_url),
        artifacts=lambda: _artifacts(deployment, run),
        model=(model, run.checkout / models[0]) if model and models else None,
        at=at,
        version_tags=version_tags,
    )


def address(where: Mirrored) -> str:
    """Where a person reads this run. MLflow 3 shows language models' pages unless told otherwise."""
    server = os.environ.get("RETRAIN_MLFLOW_URL", "").rstrip("/")
    return f"{server}/#/experiments/{where.experiment_id}/runs/{where.run_id}?workflowType=machine_learning"


def paths_of(deployment: Deployment, described: Description) -> list[str]:
    """What MLflow holds of a run's files: metrics, plots, models, and the drift report with its picture, which dvc.yaml need not declare."""
    return [*_reports(deployment, described), *described.models]


def _reports(deployment: Deployment, described: Description) -> list[str]:
    drift = [deployment.drift.report, deployment.drift.picture] if deployment.drift else []
    return list(dict.fromkeys([*described.metrics, *described.plots, *(path for path in drift if path)]))


def _artifacts(deployment: Deployment, run: TrackedRun) -> Iterator[tuple[Path, str | None]]:
    for name in ("dvc.lock", "run.yaml", "manifest.json"):
        yield run.checkout / name, "run"
    yield run.receipt, "run"
    declared = [*run.described.metrics, *run.described.plots]
    run.described.existing(declared, run.checkout)
    for path in map(Path, _reports(deployment, run.described)):
        if (run.checkout / path).exists():
            yield run.checkout / path, str(path.parent) if path.parent != Path() else None
