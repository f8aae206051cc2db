"""Laying verified raw objects in a checkout, as copies, in place of what the release has there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from retrain.inputs.names import PlacedObject
from retrain.inputs.places import ClearedPlace
from retrain.run.manifest import RawObject
from retrain.store.s3 import AT_ONCE
from retrain.work.volume import named_if_full

_FILE, _FOLDER = 0o644, 0o755


@dataclass(frozen=True)
class LaidInput:
    """An input in the checkout: its path, its files and their size in bytes. `replaced` are the paths of the commit that it took away."""

    path: str
    files: int
    bytes: int
    replaced: tuple[str, ...]


def clear(checkout: Path, place: ClearedPlace) -> None:
    """Remove what stands at the place of an input, and the .dvc files that track it."""
    for name in (place.path, *place.replaced):
        path = checkout / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)


def lay(
    checkout: Path, place: ClearedPlace, objects: Sequence[PlacedObject], files: Mapping[RawObject, Path]
) -> LaidInput:
    """Copy the objects of an input to their paths, once its place is clear.

    Args:
        checkout: the checkout.
        place: the input's place.
        objects: the objects with their paths.
        files: the verified file of each object; it is copied, because a stage may change what it reads.

    Raises:
        DiskFullError: the disk has too little space.
    """
    clear(checkout, place)
    with named_if_full(checkout):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda each: _copy(files[each.item], checkout / each.path), objects))
        top = checkout / place.path
        for folder in (path for path in (top, *top.rglob("*")) if path.is_dir()):
            folder.chmod(_FOLDER)
    return LaidInput(place.path, len(objects), sum(each.item.size for each in objects), place.replaced)


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)
    to.chmod(_FILE)
