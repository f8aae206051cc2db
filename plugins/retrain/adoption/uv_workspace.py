"""The uv workspace that a folder of a repository is a member of."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase

from retrain.adoption import toml_text
from retrain.adoption.snapshot import Snapshot


def lock_of(snapshot: Snapshot, folder: str) -> str | None:
    """The path of the workspace's uv.lock; None for a folder that is no member of one."""
    above = folder
    while above not in ("", "."):
        above = posixpath.dirname(above)
        project = toml_text.read(snapshot.texts.get(posixpath.join(above, "pyproject.toml"), ""))
        members = toml_text.at(project, "tool", "uv", "workspace", "members")
        lock = posixpath.join(above, "uv.lock")
        if isinstance(members, list) and lock in snapshot.paths:
            return (
                lock if any(_names(pattern, posixpath.relpath(folder, above or ".")) for pattern in members) else None
            )
    return None


def _names(pattern: str, path: str) -> bool:
    """True if a pattern of the workspace's members names a folder: `*` stands for a part of the path."""
    parts, named = path.split("/"), posixpath.normpath(pattern).split("/")
    return len(parts) == len(named) and all(map(fnmatchcase, parts, named))
