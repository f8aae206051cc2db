"""Mounted files of a release, in folders that are named after their content.

A container keeps the folder that it was started with, and compose replaces a container whose mount has another path. So a folder that
is mounted is never changed or removed while it is in use, and a release that does not change a service's files does not replace its
container: Postgres runs on.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from host_errors import RefusedServiceError


def require_plain(folder: Path) -> None:
    """Check that a folder out of an image holds files and folders only.

    Raises:
        RefusedServiceError: there is a link, a device or a pipe.
    """
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RefusedServiceError(
                f"The release's file {path.relative_to(folder)} is a link or a device, and is not mounted. Make it a file in a new release."
            )


def with_stable_sources(document: Mapping[str, Any], folder: Path, mounts: Path) -> dict[str, Any]:
    """The document with each mount of a file below `folder` replaced by a copy below `mounts`.

    A source that is missing is an error of the mount from now on: compose would make an empty folder in its place.
    """
    changed = copy.deepcopy(dict(document))
    for service in changed["services"].values():
        for volume in service.get("volumes", ()):
            if volume["type"] != "bind":
                continue
            volume["bind"] = {"create_host_path": False}
            source = Path(volume["source"])
            if source.is_relative_to(folder):
                volume["source"] = str(_copied(source, mounts))
    return changed


def used(document: Mapping[str, Any], mounts: Path) -> set[str]:
    """The names of the folders below `mounts` that a document mounts."""
    volumes = [volume for service in document["services"].values() for volume in service.get("volumes", ())]
    sources = [volume["source"] for volume in volumes if volume["type"] == "bind"]
    return {Path(source).relative_to(mounts).parts[0] for source in sources if Path(source).is_relative_to(mounts)}


def _copied(source: Path, mounts: Path) -> Path:
    target = mounts / _digest(source)
    if not target.exists():
        draft = target.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True, mode=0o755)
        if source.is_dir():
            shutil.copytree(source, draft / source.name)
        else:
            shutil.copy2(source, draft / source.name)
        draft.rename(target)
    return target / source.name


def _digest(source: Path) -> str:
    """A name for the content: of every file its path, its executable bit and its bytes."""
    found = hashlib.sha256()
    for path in sorted([source, *source.rglob("*")]):
        kind = "folder" if path.is_dir() else f"file {path.stat().st_mode & 0o111:o}"
        found.update(f"{path.relative_to(source.parent)}\0{kind}\0".encode())
        if path.is_file():
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:32]
