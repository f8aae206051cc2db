"""A pipeline's caches on the shared volume, and the lock between runs that use them and the housekeeping that cleans them.

DVC may count on an object that it found in the cache before any dvc.lock names it. So nothing is removed while a run reproduces.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import AbstractContextManager
from pathlib import Path

from retrain.run.manifest import RawObject
from retrain.work.file_lock import shared, try_locked
from retrain.work.workspace import home

RAW_DIGEST = ".sha256"  # ends the name of a file with our own digest of a raw object whose ETag is no MD5
RAW_DRAFT = ".writing-"  # begins the name of a raw object that is still being written
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")  # an ETag may be any text


def dvc_cache(pipeline: str) -> Path:
    """The pipeline's DVC cache, which all of its workspaces share."""
    return home() / "cache" / pipeline


def raw_cache(pipeline: str) -> Path:
    """The folder with raw objects that all runs share. The pipeline's stages get it as RAW_CACHE_DIR."""
    return home() / "raw" / pipeline


def raw_name(item: RawObject) -> str:
    """The name of an object's file in the raw cache: `<etag>-<size>`, as the stages of our own pipeline name it too."""
    etag = item.etag if _FILE_NAME.fullmatch(item.etag) else hashlib.sha256(item.etag.encode()).hexdigest()
    return f"{etag}-{item.size}"


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
