"""Separates the packages of the checkout itself from those of package indexes, in a text of uv's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging import tags
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from retrain.work.environments import frozen, local_paths, project_file
from retrain.work.environments.local_project import LocalProject
from retrain.work.environments.poetry_project import applies
from retrain.work.environments.pythons import Python
from retrain.work.environments.sources import Form, Source

_FIND_LINKS = re.compile(r"--find-links[ =](\S+)")
_FROM_INDEX = re.compile(r"^\s+# from http\S+$", re.MULTILINE)


@dataclass(frozen=True)
class Separated:
    """`text` has the packages of indexes, `local` those of the checkout."""

    text: str
    local: frozenset[LocalProject]


def separate(emitted: str, base: Path, checkout: Path, place: str, python: Python) -> Separated:
    """Take the packages of the checkout out of a text of uv's, and the options that name its folders.

    Args:
        emitted: uv's text.
        base: the folder that its paths are relative to.
        checkout: the top of the Git checkout.
        place: the file that it was resolved from, for errors.
        python: the Python that it is for.

    Raises:
        LocalPathError: a path leads out of the checkout, or does not exist.
    """
    kept, local = [], set[LocalProject]()
    lines = list(frozen.logical(emitted))
    folders = [folder for line in lines if (folder := _own_folder(line, base, checkout))]
    for line in lines:
        requirement, _, marker = line.partition(" --hash")[0].partition(" ;")
        if line.startswith("--"):
            if _own_folder(line, base, checkout) is None:
                kept.append(line)
        elif reference := local_paths.reference(requirement.removeprefix("-e ").strip()):
            path = local_paths.inside(reference.written, place, checkout, (base,))
            if applies(marker.strip(), python):
                local.add(of(path, checkout))
        elif file := _in_folders(line, folders, python):
            local.add(of(file, checkout))
        else:
            kept.append(line)
    return Separated("\n".join([*kept, *_FROM_INDEX.findall(emitted), ""]), frozenset(local))


def require_inside(source: Source, checkout: Path) -> None:
    """Make sure that the paths in a uv.lock, and in uv's sources of a pyproject.toml, do not lead out of the checkout.

    Raises:
        LocalPathError: one does, or does not exist.
    """
    named = [
        ("pyproject.toml", path, source.folder) for path in _paths(project_file.toml(source.folder / "pyproject.toml"))
    ]
    if source.form is Form.UV:
        packages = project_file.toml(source.file).get("package", ())
        found = [each["source"].get(key) for each in packages for key in ("editable", "directory", "path")]
        named += [("uv.lock", str(path), source.file.parent) for path in found if path]
    for file, path, base in named if source.form in (Form.UV, Form.PROJECT) else ():
        local_paths.inside(path, file, checkout, (base,))


def _paths(content: dict[str, Any]) -> Iterator[str]:
    for said in (project_file.at(content, "tool", "uv", "sources") or {}).values():
        for entry in said if isinstance(said, list) else [said]:
            if isinstance(entry, dict) and "path" in entry:
                yield str(entry["path"])


def of(path: Path, checkout: Path, *, required: bool = True) -> LocalProject:
    """The local project at a path of the checkout."""
    return LocalProject(path.resolve().relative_to(checkout.resolve()).as_posix(), required)


def _own_folder(line: str, base: Path, checkout: Path) -> Path | None:
    """The folder of the checkout that a line with `--find-links` names."""
    found = _FIND_LINKS.match(line)
    if found is None or ("://" in found[1] and not found[1].startswith("file:")):
        return None
    folder = (base / unquote(re.sub(r"^file:(//)?", "", found[1]))).resolve()
    return folder if folder.is_relative_to(checkout.resolve()) else None


def _in_folders(line: str, folders: list[Path], python: Python) -> Path | None:
    """The file of these folders that a requirement is, by its hash if it has one; of several, the one that suits best."""
    hashes = re.findall(r"--hash=sha256:(\w+)", line)
    name, version = frozen.name_and_version(frozen.requirements(line)[0])
    fitting = [
        file
        for folder in folders
        for file in folder.glob("*")
        if any((canonicalize_name(name.partition("[")[0]), version) == named for named in _named(file))
        and (not hashes or hashlib.sha256(file.read_bytes()).hexdigest() in hashes)
    ]
    ranks = {tag: rank for rank, tag in enumerate(_tags(python))}

    def rank(file: Path) -> int:
        if file.suffix != ".whl":
            return len(ranks)
        return min((ranks[tag] for tag in parse_wheel_filename(file.name)[3] if tag in ranks), default=len(ranks) + 1)

    return min(fitting, key=rank, default=None)


def _named(file: Path) -> Iterator[tuple[str, str]]:
    """Name and version of a wheel or a source distribution."""
    try:
        name, version, *_ = (
            parse_wheel_filename(file.name) if file.suffix == ".whl" else parse_sdist_filename(file.name)
        )
    except (InvalidWheelFilename, InvalidSdistFilename):
        return
    yield name, str(version)


def _tags(python: Python) -> Iterator[tags.Tag]:
    major, minor = (int(part) for part in python.version.split("."))
    yield from tags.cpython_tags((major, minor))
    yield from tags.compatible_tags((major, minor), f"cp{major}{minor}")
