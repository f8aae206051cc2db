"""A pipeline's caches on the shared volume, and the lock between runs that use them and the housekeeping that cleans them.

DVC may count on an object that it found in the cache before any dvc.lock names it. So nothing is removed while a run reproduces.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from retrain.work.file_lock import shared, try_locked
from retrain.work.workspace import home


def dvc_cache(pipeline: str) -> Path:
    """The pipeline's DVC cache, which all of its workspaces share."""
    return home() / "cache" / pipeline


def raw_cache(pipeline: str) -> Path:
    """The folder that the pipeline's stages get as RAW_CACHE_DIR."""
    return home() / "raw" / pipeline


def in_use(pipeline: str) -> AbstractContextManager[None]:
    """Keep the housekeeping away from the caches. Any number of runs may use them at once.

    Raises:
        FileLockTimeoutError: the housekeeping has not ended in time.
    """
    return shared(_lock(pipeline), what=f"the housekeeping of the caches of {pipeline}")


def try_alone(pipeline: str) -> AbstractContextManager[bool]:
    """Keep new runs from using the caches; yields False if a run is using them."""
    return try_locked(_lock(pipeline))


def _lock(pipeline: str) -> Path:
    return home() / "locks" / f"{pipeline}.caches"
