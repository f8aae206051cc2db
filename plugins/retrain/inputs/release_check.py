"""Checks that a release could run every day, before it is pinned: its environment is built, and no stage is run."""

from __future__ import annotations

from pathlib import Path

from retrain.deployment.pipeline_file import Deployment
from retrain.inputs import day_dependence, tracked_data
from retrain.inputs.checkout_files import files_in
from retrain.inputs.day_dependence import DayDependence
from retrain.inputs.prepared import try_settings
from retrain.inputs.tracked_data import TrackedSources
from retrain.work import workspace
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.project_root import place_in_project
from retrain.work.environments import environment, release_packages


def require_runnable(
    deployment: Deployment, checkout: Path, project: Path, dvc: Dvc, tracked: TrackedSources, release: str
) -> None:
    """Make sure that a release fits its pipeline's file, by all that is known without running it.

    Args:
        deployment: the pipeline's file.
        checkout: the top of a Git checkout of the release, which is changed.
        project: the top of the DVC project in it.
        dvc: the deployment's own DVC in it.
        tracked: where the data of .dvc files and frozen stages comes from. It is looked for, not fetched.
        release: the release's name, for errors.

    Raises:
        RetrainError: the release would not run; the message names the file and what to do.
    """
    settings = deployment.run_settings(lock=release_packages.supplied_sha256(deployment))
    environment.of_definition(
        release_packages.of_release(deployment, checkout, settings), workspace.home() / "environments"
    )
    day = deployment.schedule.start_date.isoformat()
    dvc.configure(deployment.store, None)
    described = try_settings(project, settings, day, dvc)
    tracked_data.require_there(dvc.aimed(settings), described, tracked, release)
    place = place_in_project(project, settings.folder)
    day_dependence.require(DayDependence.of(described, settings, deployment.static, files_in(project), place), release)
