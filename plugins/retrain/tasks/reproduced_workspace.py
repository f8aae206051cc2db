"""The workspace that `reproduce` made, as the tasks after it read it."""

from __future__ import annotations

from pathlib import Path

from retrain.results import Reproduced
from retrain.store.ledger import ENVIRONMENT
from retrain.work import workspace
from retrain.work.dvc.description import Description
from retrain.work.environments import environment
from retrain.work.environments.environment import Environment
from retrain.work.workspace import Workspace, home


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
