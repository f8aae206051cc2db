"""A finished run as MLflow holds it: the same whether the run tells it or a rebuild."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retrain import dvc, workspace
from retrain.connections import connect_mlflow
from retrain.deployment import Deployment
from retrain.run_spec import RunSpec
from retrain.tracking import Recorded, Tracking


@dataclass(frozen=True)
class TrackedRun:
    """What a run leaves behind.

    `checkout` holds run.yaml, manifest.json, dvc.lock and the outputs that `lock` names; `receipt` is the file of that name.
    """

    spec: RunSpec
    dag_run: str
    mode: str
    environment: str
    metrics: Mapping[str, float]
    raw_url: str
    lock: dvc.Lock
    declared: dvc.Declared
    checkout: Path
    receipt: Path


def connect(deployment: Deployment) -> Tracking:
    """The pipeline's MLflow; tasks and commands on the shared volume take turns there."""
    return Tracking(
        connect_mlflow(deployment.mlflow_conn_id), workspace.home() / "locks" / f"{deployment.pipeline}.tracking"
    )


def record(
    tracking: Tracking,
    deployment: Deployment,
    run: TrackedRun,
    *,
    at: datetime | None = None,
    version_tags: Mapping[str, str] | None = None,
) -> Recorded:
    """Find or make the run's MLflow run and its model version. `at` and `version_tags` as in `Tracking.record`."""
    spec, model = run.spec, deployment.tracking.model
    models = dvc.matching(run.declared.models, run.lock, run.checkout)
    return tracking.record(
        experiment=deployment.tracking.experiment,
        name=f"{spec.partition} {spec.release}",
        tags={**spec.to_dict(), "dag_run": run.dag_run, "mode": run.mode, "environment": run.environment},
        params=run.lock.params,
        metrics=run.metrics,
        dataset=(f"{spec.pipeline}/dt={spec.partition}", spec.manifest_digest, run.raw_url),
        artifacts=lambda: _artifacts(deployment, run),
        model=(model, run.checkout / models[0]) if model and models else None,
        at=at,
        version_tags=version_tags,
    )


def reports_of(deployment: Deployment) -> list[str]:
    """The drift report and its picture, which MLflow holds without a declaration in dvc.yaml."""
    return [path for path in (deployment.drift.report, deployment.drift.picture) if path] if deployment.drift else []


def _artifacts(deployment: Deployment, run: TrackedRun) -> Iterator[tuple[Path, str | None]]:
    for name in ("dvc.lock", "run.yaml", "manifest.json"):
        yield run.checkout / name, "run"
    yield run.receipt, "run"
    reports = [
        *dvc.matching(run.declared.metrics, run.lock, run.checkout),
        *dvc.matching(run.declared.plots, run.lock, run.checkout),
        *(Path(path) for path in reports_of(deployment) if (run.checkout / path).is_file()),
    ]
    for path in dict.fromkeys(reports):
        yield run.checkout / path, str(path.parent) if path.parent != Path() else None
