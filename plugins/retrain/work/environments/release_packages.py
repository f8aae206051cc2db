"""Where the release of a deployed pipeline names its packages."""

from __future__ import annotations

from pathlib import Path

from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.run_settings import RunSettings
from retrain.work import commit_date
from retrain.work.environments import supplied_lock
from retrain.work.environments.definition import EnvironmentDefinition, PackageSettings, SuppliedLock


def supplied_sha256(deployment: Deployment) -> str | None:
    """SHA-256 (hex) of the file that `packages.lock` names; None if the key is not set.

    Raises:
        SuppliedLockError: the file is missing, or a link leads out of the folder of the pipelines' files.
    """
    name = deployment.packages.lock
    return None if name is None else supplied_lock.sha256(deployment.pipelines / name)


def of_release(deployment: Deployment, checkout: Path, settings: RunSettings) -> EnvironmentDefinition:
    """The definition of a release's environment.

    Args:
        deployment: the pipeline's file, with the place of the packages and the name of the supplied lock.
        checkout: the top of the release's Git checkout.
        settings: those of the run, which were fixed when it was resolved.

    Raises:
        OriginError: Git does not say when the commit was made.
    """
    name, sha256 = deployment.packages.lock, settings.packages.lock
    return EnvironmentDefinition(
        checkout,
        deployment.repository.environment or settings.folder,
        PackageSettings(**settings.packages.model_dump()),
        settings.folder,
        SuppliedLock(deployment.pipelines / name, sha256) if name and sha256 else None,
        commit_date.committed_at(checkout),
    )
