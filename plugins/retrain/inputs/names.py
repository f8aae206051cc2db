"""Where each raw object of an input goes in the checkout: the rule `names` of the pipeline's file. Nothing is read or written."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from retrain.deployment.sections import Input
from retrain.inputs.errors import InputNamesError
from retrain.inputs.reserved_names import FOLDERS, is_of_dvc
from retrain.run.manifest import Manifest, RawObject
from retrain.run.raw_layout import RawLayout

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LONGEST = 255  # bytes of a name, on the file systems of Linux
_NAMED = 3  # objects that a message names
_SUGGESTED = ("{partition}-{name}", "keep")


@dataclass(frozen=True)
class PlacedObject:
    """A raw object, and the path in the checkout that it is laid at."""

    item: RawObject
    path: str


@dataclass(frozen=True)
class _Dated:
    item: RawObject
    day: str

    @property
    def name(self) -> str:
        return self.item.key.rpartition("/")[2]


def placed(entry: Input, manifest: Manifest) -> tuple[PlacedObject, ...]:
    """The objects of an input, sorted by path.

    Args:
        entry: the input, as the manifest's settings have it.
        manifest: the raw objects of the run's window.

    Raises:
        InputNamesError: no object matches, two get one path, or a path cannot be one of the checkout.
    """
    layout = RawLayout(manifest.settings.partition, None)
    of_days = [
        _Dated(item, day)
        for item in manifest.objects
        if (day := layout.day_of(item.key)) is not None and (entry.days == "window" or day == manifest.partition)
    ]
    chosen = [each for each in of_days if fnmatchcase(each.name, entry.objects)]
    if not chosen:
        days = manifest.partition if entry.days == "partition" else f"the window of {manifest.partition}"
        there = f": it has {some([each.item.key for each in of_days])}" if of_days else ""
        raise InputNamesError(
            f"The input {entry.path} has no object: none of the {len(of_days)} objects of {days} below {manifest.root} matches "
            f"`objects: {entry.objects}`{there}. Correct it in the pipeline's file, or land the objects again; then clear resolve_run."
        )
    if entry.names == "file" and len(chosen) > 1:
        raise InputNamesError(
            f"The input {entry.path} is one file (names: file), and {manifest.partition} has {len(chosen)} objects for it: "
            f"{some([each.item.key for each in chosen])}. Name one with `objects`, or lay them in a folder with another rule "
            "for `names`; then clear resolve_run."
        )
    paths = [(each, _path(entry.path, entry.names, each)) for each in chosen]
    for each, path in paths:
        _require_usable(entry, each.item.key, path)
    _require_distinct(entry, paths)
    return tuple(sorted((PlacedObject(each.item, path) for each, path in paths), key=lambda one: one.path))


def _path(folder: str, names: str, each: _Dated) -> str:
    folder = posixpath.normpath(folder)
    if names == "file":
        return folder
    if names == "keep":
        return f"{folder}/{each.item.key}"
    if names == "flat":
        return f"{folder}/{each.name}"
    year, month, day = each.day.split("-")
    stem, suffix = posixpath.splitext(each.name)
    values = {"partition": each.day, "year": year, "month": month, "day": day}
    values |= {"name": each.name, "stem": stem, "suffix": suffix}
    return f"{folder}/{_PLACEHOLDER.sub(lambda found: values[found[1]], names)}"


def _require_usable(entry: Input, key: str, path: str) -> None:
    """Check that a path stays below the input's, and that neither Git, DVC nor the file system reads something else into it."""
    below = path.removeprefix(posixpath.normpath(entry.path)).removeprefix("/")
    for part in below.split("/") if below else ():
        if part in ("", ".", ".."):
            why = "leaves the folder" if part == ".." else "has an empty part"
        elif part in FOLDERS or is_of_dvc(part):
            why = f"has {part}, which DVC or Git would read as its own"
        elif len(part.encode()) > _LONGEST:
            why = f"has a part of {len(part.encode())} bytes, and a file's name has at most {_LONGEST}"
        else:
            continue
        raise InputNamesError(
            f"The input {entry.path} would lay {key} at {path}, which {why}. Give it another name with a pattern in `names`, "
            "such as {partition}/{stem}.data, or leave it out with `objects`; then clear resolve_run."
        )


def _require_distinct(entry: Input, paths: Sequence[tuple[_Dated, str]]) -> None:
    found = _clash(paths)
    if found is None:
        return
    one, two, path = found
    better = [
        names
        for names in _SUGGESTED
        if names != entry.names and _clash([(each, _path(entry.path, names, each)) for each, _ in paths]) is None
    ]
    hint = f"Write `names: {_quoted(better[0])}`" if better else "Leave one out with `objects`"
    raise InputNamesError(
        f"The input {entry.path} would lay both {one} and {two} at {path} (names: {entry.names}). {hint} in the pipeline's file, "
        "then clear resolve_run."
    )


def _clash(paths: Sequence[tuple[_Dated, str]]) -> tuple[str, str, str] | None:
    """Two keys that need one path, as files or as a file and a folder; and that path."""
    owners: dict[str, str] = {}
    for each, path in paths:
        if path in owners:
            return owners[path], each.item.key, path
        owners[path] = each.item.key
    for each, path in paths:
        parent = path
        while parent := posixpath.dirname(parent):
            if parent in owners:
                return owners[parent], each.item.key, parent
    return None


def _quoted(names: str) -> str:
    """A pattern begins with a brace, which YAML takes for a mapping."""
    return f'"{names}"' if "{" in names else names


def some(keys: Sequence[str]) -> str:
    """The first of these keys or paths, and how many more there are."""
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
