"""The requirements file beside a pipeline's file that `packages.lock` names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from retrain.work.environments.definition import SuppliedLock
from retrain.work.environments.errors import SuppliedLockError


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a supplied lock.

    Raises:
        SuppliedLockError: the file is missing, or a link leads out of its folder.
    """
    return _sha256(_read(path))


def content(lock: SuppliedLock) -> bytes:
    """The content of a supplied lock, which is still that of its run.

    Raises:
        SuppliedLockError: the file is missing, a link leads out of the folder, or its content is another now.
    """
    found = _read(lock.path)
    if _sha256(found) != lock.sha256:
        raise SuppliedLockError(
            f"{lock.path.name} was changed after the run was resolved: it is a run of its own now. Clear the run from resolve_run on."
        )
    return found


def _read(path: Path) -> bytes:
    folder = path.parent.resolve()
    try:
        if not path.resolve().is_relative_to(folder):
            raise SuppliedLockError(
                f"packages.lock names {path.name}, which leads out of the folder of the pipelines' files to {path.resolve()}. Put the file itself there."
            )
        return path.read_bytes()
    except OSError as e:
        raise SuppliedLockError(
            f"packages.lock names {path.name}, which is not in {folder}: {e.strerror}. Put the requirements file beside the pipeline's file, "
            "also on the workers, or correct the key."
        ) from e


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
