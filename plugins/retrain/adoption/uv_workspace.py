"""The uv workspace that a folder of a repository is a member of."""

from __future__ import annotations

from pathlib import PurePosixPath

from retrain.adoption import toml_text
from retrain.adoption.snapshot import Snapshot
from retrain.work.environments import project_file


def lock_of(snapshot: Snapshot, folder: str) -> str | None:
    """The path of the workspace's uv.lock; None for a folder that is no member of one."""
    path = PurePosixPath(folder)
    for above in path.parents:
        project = toml_text.read(snapshot.texts.get((above / "pyproject.toml").as_posix(), ""))
        members = project_file.at(project, "tool", "uv", "workspace", "members")
        lock = (above / "uv.lock").as_posix()
        if isinstance(members, list) and lock in snapshot.paths:
            return lock if any(_names(pattern, path.relative_to(above)) for pattern in members) else None
    return None


def _names(pattern: str, path: PurePosixPath) -> bool:
    return len(PurePosixPath(pattern).parts) == len(path.parts) and path.match(pattern)
