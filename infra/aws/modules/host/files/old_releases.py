"""Removes what no kept release needs: folders of older releases, their mounted files, their images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bind_sources
from host_errors import ProgramFailedError
from host_program import run

COMPOSE = "compose.json"


def remove_all_but(
    kept: Iterable[str], releases: Path, mounts: Path, image_prefix: str, say: Callable[[str], None]
) -> None:
    """Remove the folders, mounted files and images that only releases other than `kept` use.

    An image that cannot be removed is named, and is no error: a container that a person started may use it.
    """
    kept = set(kept)
    documents, references_of_removed = [], set()
    for folder in releases.iterdir():
        document = _document(folder)
        if folder.name in kept:
            documents.append(document)
            continue
        references_of_removed |= _references(document)
        shutil.rmtree(folder)
    used = set[str]().union(*(bind_sources.used(document, mounts) for document in documents))
    for folder in mounts.iterdir() if mounts.is_dir() else ():
        if folder.name not in used:
            shutil.rmtree(folder)
    needed = {image for reference in set().union(*map(_references, documents)) for image in _ids(reference)}
    listed = ["docker", "image", "ls", "--no-trunc", "--quiet", f"--filter=reference={image_prefix}/*"]
    found = [*run(listed).split(), *(image for reference in references_of_removed for image in _ids(reference))]
    for image in dict.fromkeys(found):
        if image in needed:
            continue
        try:
            run(["docker", "image", "rm", "--force", image])
        except ProgramFailedError as error:
            say(f"The image {image} stays: {error}")


def _document(folder: Path) -> dict[str, Any]:
    """The compose file that a release was started with; an empty one if it was never started."""
    path = folder / COMPOSE
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"services": {}}
    return found


def _references(document: dict[str, Any]) -> set[str]:
    return {service["image"] for service in document["services"].values()}


def _ids(reference: str) -> list[str]:
    """The id of an image; nothing if it is not here."""
    try:
        return run(["docker", "image", "inspect", "--format={{.Id}}", reference]).split()
    except ProgramFailedError:
        return []
