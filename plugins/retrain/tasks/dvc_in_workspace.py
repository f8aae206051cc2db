"""DVC in a run's workspace, as the tasks `reproduce` and `push` use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from retrain.services import Services
from retrain.tasks.threads import threads
from retrain.work import pipeline_caches
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.environments import environment
from retrain.work.environments.environment import Environment
from retrain.work.workspace import Workspace, home


@contextmanager
def open_dvc(services: Services, place: Workspace, built: Environment) -> Iterator[Dvc]:
    """DVC for a workspace's checkout; its credentials for S3 are valid until the context ends.

    Args:
        services: the services of the pipeline.
        place: the workspace.
        built: the release's environment, whose programs the stages use.

    Raises:
        EnvironmentBuildError: the deployment's own DVC cannot be installed.
        ConfigurationError: see `threads`.
    """
    own = environment.provide(DEPLOYMENT_DVC, home() / "environments")
    with services.credentials.child_environment() as access:
        variables = {
            **access,
            "RAW_CACHE_DIR": str(pipeline_caches.raw_cache(services.pipeline)),
            "OMP_NUM_THREADS": str(threads()),
        }
        yield Dvc.of(place.checkout, built, own, pipeline_caches.dvc_cache(services.pipeline), variables)
