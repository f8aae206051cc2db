"""DVC in a checkout, with access to S3 for it and its stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrain.work import pipeline_caches
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.environments import environment
from retrain.work.environments.environment import Environment
from retrain.work.service_credentials import Credentials
from retrain.work.threads import threads
from retrain.work.workspace import home


@contextmanager
def opened(credentials: Credentials, pipeline: str, checkout: Path, built: Environment, cache: Path) -> Iterator[Dvc]:
    """DVC for a checkout; its credentials for S3 are valid until the context ends.

    Args:
        credentials: those of the pipeline.
        pipeline: the pipeline, whose cache of raw objects the stages use.
        checkout: the checkout of one workspace.
        built: the release's environment, whose programs the stages use.
        cache: the DVC cache.

    Raises:
        EnvironmentBuildError: the deployment's own DVC cannot be installed.
        ConfigurationError: see `threads`.
    """
    own = environment.provide(DEPLOYMENT_DVC, home() / "environments")
    with credentials.child_environment() as access:
        variables = {
            **access,
            "RAW_CACHE_DIR": str(pipeline_caches.raw_cache(pipeline)),
            "OMP_NUM_THREADS": str(threads()),
        }
        yield Dvc.of(checkout, built, own, cache, variables)
