"""The files of a project folder that determine which packages uv resolves for it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import frozen

_FORM = "1"  # the form of a frozen text; change it to resolve everything again
_ALWAYS = ("pyproject.toml", "uv.toml", "setup.cfg", "setup.py", ".python-version")
_INCLUDE = re.compile(r"(?:-r|--requirements?|-c|--constraints?)(?:\s*=\s*|\s*)(\S+)$")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s*=\s*|\s*)(?!\S*://)(?!\S+\s*@\s*\S+://)(\S+)")
_FOLDER = re.compile(r"(?:-f|--find-links|-i|--index-url|--extra-index-url)(?:\s*=\s*|\s+)(\S+)")
_LOCAL = re.compile(r"(?:file:|\.{1,2}(?:/|$|\[)|/|[\w.\-\[\], ]+@\s*(?:file:|\.{1,2}/|/))")


def source(project: Path) -> Path:
    """The file that the environment of `project` is resolved from.

    Raises:
        EnvironmentDefinitionError: the folder has none of the files.
    """
    for name in ("uv.lock", "requirements.txt", "pyproject.toml"):
        if (project / name).is_file():
            return project / name
    raise EnvironmentDefinitionError(
        f"{project.name}/ of the release has neither uv.lock, requirements.txt nor pyproject.toml. "
        "Add one, or correct repository.environment in the pipeline's file."
    )


def digest(project: Path) -> str:
    """SHA-256 (hex) of all files that a resolution of `project` reads, and of Python's minor version.

    The content of a requirements file that is included by its URL is not known here, just as that of a package index.

    Raises:
        EnvironmentDefinitionError: the folder does not define an environment, includes a file that it lacks, or names a local path.
    """
    main = source(project)
    found = {name: (project / name).read_bytes() for name in _ALWAYS if (project / name).is_file()}
    if main.name == "uv.lock":
        found["uv.lock"] = main.read_bytes()
    elif main.name == "requirements.txt":
        found.update(_requirements(project, main, {}))
    found.update(_dynamic(project))
    found.update(_above(project))
    total = hashlib.sha256(f"{_FORM}\n{frozen.RUNNING}\n{main.name}\n".encode())
    for name, content in sorted(found.items()):
        total.update(f"{name} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def index_names(project: Path) -> dict[str, str]:
    """The names of package indexes in the uv settings of `project`, by URL."""
    settings = [_toml(project / "uv.toml"), _toml(project / "pyproject.toml").get("tool", {}).get("uv", {})]
    indexes = (one for table in settings for one in table.get("index", []))
    return {one["url"]: one["name"] for one in indexes if "url" in one and "name" in one}


def _requirements(project: Path, file: Path, found: dict[str, bytes]) -> dict[str, bytes]:
    """The contents of a requirements file and of all files that it includes, by path."""
    name = os.path.relpath(file, project)
    if name in found:
        return found
    found[name] = file.read_bytes()
    if file.suffix == ".toml":
        return found
    for number, line in frozen.lines_of(found[name].decode("utf-8", "replace")):
        place = f"{name}:{number}"
        if included := _INCLUDE.match(line):
            if "://" in included[1]:
                continue
            other = file.parent / included[1]
            if not other.is_file():
                raise EnvironmentDefinitionError(
                    f"{place} includes {included[1]}, which the release does not have. Add it in a new release."
                )
            _requirements(project, other, found)
        elif _is_local(file.parent, line):
            raise frozen.local(place, line)
    return found


def _is_local(folder: Path, line: str) -> bool:
    if option := _FOLDER.match(line):
        return "://" not in option[1] and not option[1].startswith("/")
    words = line.split()
    return bool(_EDITABLE.match(line) or _LOCAL.match(line)) or ("/" in words[0] and (folder / words[0]).exists())


def _dynamic(project: Path) -> Iterator[tuple[str, bytes]]:
    """The files from which a build backend reads a project's dependencies."""
    tool = _toml(project / "pyproject.toml").get("tool", {})
    named: list[Any] = [entry.get("file", []) for entry in _tables(tool, "setuptools", "dynamic")]
    named += [entry.get("files", []) for entry in _tables(tool, "hatch", "metadata", "hooks")]
    for group in named:
        for name in [group] if isinstance(group, str) else group:
            if (project / name).is_file():
                yield name, (project / name).read_bytes()


def _tables(table: dict[str, Any], *path: str) -> list[dict[str, Any]]:
    for key in path:
        table = table.get(key, {}) if isinstance(table.get(key, {}), dict) else {}
    return [entry for entry in table.values() if isinstance(entry, dict)]


def _above(project: Path) -> Iterator[tuple[str, bytes]]:
    """The files that uv reads in the folders above: its settings, and the uv.lock of a uv workspace."""
    for height, folder in enumerate(project.resolve().parents, 1):
        up = "../" * height
        if (folder / "uv.toml").is_file():
            yield f"{up}uv.toml", (folder / "uv.toml").read_bytes()
        settings = _toml(folder / "pyproject.toml").get("tool", {}).get("uv", {})
        if settings:
            yield f"{up}pyproject.toml", json.dumps(settings, sort_keys=True, default=str).encode()
        if "workspace" in settings and (folder / "uv.lock").is_file():
            yield f"{up}uv.lock", (folder / "uv.lock").read_bytes()


def _toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; empty if it does not exist or is broken, which uv reports better."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}
