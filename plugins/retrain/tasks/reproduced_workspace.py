"""The workspace that `reproduce` made, as the tasks after it read it."""

from __future__ import annotations

from pathlib import Path

from retrain.deployment.run_settings import RunSettings
from retrain.errors import TaskResultError
from retrain.results import Reproduced
from retrain.run.manifest import Manifest
from retrain.store.ledger import ENVIRONMENT
from retrain.work import workspace
from retrain.work.dvc.description import Description
from retrain.work.environments import environment
from retrain.work.environments.environment import Environment
from retrain.work.workspace import Workspace, home

MANIFEST = "manifest.json"  # beside the checkout, where no stage writes


def workspace_of(reproduced: Reproduced) -> Workspace:
    """The workspace, which is noted as used now."""
    place = Workspace(Path(reproduced.workspace))
    workspace.note_use(place)
    return place


def description_of(place: Workspace) -> Description:
    """DVC's description of the checkout after `dvc repro`.

    Raises:
        DescriptionError: the file cannot be read.
    """
    return Description.from_json(place.description.read_text(encoding="utf-8"), str(place.description))


def settings_of(place: Workspace) -> RunSettings:
    """The recorded settings of the run, from the copy of its manifest beside the checkout.

    Raises:
        TaskResultError: there is no such copy.
    """
    try:
        text = (place.path / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise TaskResultError(
            f"{place.path} has no {MANIFEST}: another version of the deployment made the workspace. Clear reproduce."
        ) from error
    return Manifest.from_json(text, str(place.path / MANIFEST)).settings


def environment_of(reproduced: Reproduced) -> Environment:
    """The environment that `reproduce` used, installed again if this worker's image and volume lack it.

    Raises:
        EnvironmentBuildError: the network failed.
        EnvironmentGoneError: a package is not available any more.
    """
    environments = home() / "environments"
    known = environment.known(environments, reproduced.environment)
    if known is not None:
        return known
    frozen = Path(reproduced.workspace) / ENVIRONMENT
    return environment.install(frozen.read_text(encoding="utf-8"), environments)
