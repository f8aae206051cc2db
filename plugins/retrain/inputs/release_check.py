"""Checks that a release could run every day, before it is pinned. No stage is run."""

from __future__ import annotations

from pathlib import Path

from retrain.deployment.pipeline_file import Deployment
from retrain.inputs import day_dependence
from retrain.inputs.checkout_files import files_in
from retrain.inputs.day_dependence import DayDependence
from retrain.inputs.prepared import try_settings
from retrain.work.dvc import tracked_inputs
from retrain.work.dvc.program import Dvc


def require_runnable(deployment: Deployment, project: Path, dvc: Dvc, release: str) -> None:
    """Make sure that a release fits its pipeline's file, by all that is known without running it.

    Args:
        deployment: the pipeline's file.
        project: the top of the DVC project in a checkout of the release, which is changed.
        dvc: the deployment's own DVC in it.
        release: the release's name, for errors.

    Raises:
        RetrainError: the release would not run; the message names the file and what to do.
    """
    dvc.configure(deployment.store, None)
    day, settings = deployment.schedule.start_date.isoformat(), deployment.run_settings()
    described = try_settings(project, settings, day, dvc)
    tracked_inputs.require_none(described, release)
    day_dependence.require(DayDependence.of(described, settings, deployment.static, files_in(project)), release)
