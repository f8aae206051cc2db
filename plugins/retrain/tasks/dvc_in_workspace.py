"""DVC in a run's workspace, as the tasks `reproduce` and `push` use it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from retrain.deployment.run_settings import RunSettings
from retrain.services import Services
from retrain.work import pipeline_caches
from retrain.work.dvc.opened import opened
from retrain.work.dvc.program import Dvc
from retrain.work.environments.environment import Environment
from retrain.work.workspace import Workspace


def open_dvc(
    services: Services, place: Workspace, built: Environment, settings: RunSettings | None = None
) -> AbstractContextManager[Dvc]:
    """DVC for a workspace's checkout, with the cache that all workspaces of the pipeline share: see `opened`."""
    pipeline = services.pipeline
    return opened(services.credentials, pipeline, place, built, pipeline_caches.dvc_cache(pipeline), settings)
