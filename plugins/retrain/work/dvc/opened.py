"""DVC in a checkout, with access to S3 for it and its stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrain.deployment.run_settings import RunSettings
from retrain.work import pipeline_caches, run_environment
from retrain.work.dvc import deployment_dvc
from retrain.work.dvc.program import Dvc
from retrain.work.environments.environment import Environment
from retrain.work.run_environment import RunEnvironment
from retrain.work.service_credentials import Credentials
from retrain.work.stage_variables import StageVariables
from retrain.work.threads import threads
from retrain.work.workspace import Workspace, home

ENVIRONMENTS = "environments"  # the folder of a workspace with the run's environments


def of_workspace(place: Workspace, built: Environment, settings: RunSettings) -> RunEnvironment:
    """The run's environment in its workspace, on top of `built`: made, or found if an earlier task of the run has made it.

    Raises:
        RetrainError: as for `run_environment.provide`.
    """
    return run_environment.provide(built, place.scratch(ENVIRONMENTS), place.checkout, settings.folder)


@contextmanager
def opened(
    credentials: Credentials,
    pipeline: str,
    place: Workspace,
    built: Environment,
    cache: Path,
    settings: RunSettings | None,
) -> Iterator[Dvc]:
    """DVC for a workspace's checkout; its credentials for S3 are valid until the context ends.

    Args:
        credentials: those of the pipeline.
        pipeline: the pipeline, whose cache of raw objects the stages use.
        place: the workspace.
        built: the release's environment, whose programs the stages use.
        cache: the DVC cache.
        settings: the recorded settings of the run; None if no stage is run.

    Raises:
        StageSecretError: a secret of the stages does not exist.
        ProjectInstallError: a package of the checkout cannot be installed.
        EnvironmentBuildError: the deployment's own DVC cannot be installed, or the package index does not answer.
        ConfigurationError: see `threads` and `deployment_dvc.provide`.
    """
    variables, run = StageVariables(), None
    if settings is not None:
        variables = StageVariables(settings.env, credentials.stage_secrets())
        run = of_workspace(place, built, settings)
    own = deployment_dvc.provide(home() / "environments")
    with credentials.child_environment() as access:
        extra = {
            **access,
            "RAW_CACHE_DIR": str(pipeline_caches.raw_cache(pipeline)),
            "OMP_NUM_THREADS": str(threads()),
        }
        yield Dvc.of(place.project, built, own, cache, extra, run=run, variables=variables)
