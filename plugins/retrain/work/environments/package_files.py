"""The files of a checkout that determine which packages uv resolves for it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrain.work import process
from retrain.work.environments import project_file, requested, requirements_file, supplied_lock
from retrain.work.environments.definition import EnvironmentDefinition
from retrain.work.environments.requested import Requested
from retrain.work.environments.sources import Form, Source

_FORM = "2"  # the form of a frozen text; change it to resolve everything again
_ALWAYS = ("pyproject.toml", "uv.toml", "setup.cfg", "setup.py", ".python-version")
_BESIDE = {Form.PIPENV: ("Pipfile",)}
_OF_PROJECTS = re.compile(r"(?:pyproject\.toml|setup\.(?:py|cfg)|uv\.toml|requirements[^/]*\.(?:txt|in))")
_NOT_OURS = frozenset([".git", ".dvc", ".venv", "venv", "node_modules", "__pycache__"])
# A source in a lock, or in a pyproject.toml, that is a file or folder of the checkout. A virtual "." is a project without code.
_OWN_SOURCE = re.compile(
    r"""^source = \{ (?:editable|directory|path|virtual) = "(?!\.")|^type = "(?:directory|file)"|"(?:path|file)":|"""
    r"""\b(?:path|workspace)\s*=\s*(?:["']|true)|@\s*file:""",
    re.MULTILINE,
)


def requested_of(definition: EnvironmentDefinition, source: Source) -> Requested:
    """What the requirements files of a source ask for; nothing for another form.

    Raises:
        EnvironmentDefinitionError: as for `requested.of_file`.
        SuppliedLockError: the supplied lock is missing, or was changed since the run was resolved.
    """
    if definition.supplied is not None:
        content = supplied_lock.content(definition.supplied)
        return requested.of_supplied(
            definition.supplied.path.name, content, definition.checkout, bases(definition, source)
        )
    if source.form is not Form.REQUIREMENTS:
        return Requested()
    return requested.of_file(source.file, definition.checkout, bases(definition, source))


def bases(definition: EnvironmentDefinition, source: Source) -> tuple[Path, ...]:
    """The folders that a local path in a requirements file may be relative to."""
    return (source.folder, definition.checkout / definition.project, definition.checkout)


def is_about_checkout(source: Source, asked: Requested) -> bool:
    """True if packages of the checkout itself may belong to the environment."""
    if asked.refers or project_file.is_installable(source.folder):
        return True
    names = {source.file, *((source.folder / "pyproject.toml",) if source.form is not Form.REQUIREMENTS else ())}
    return any(
        _OWN_SOURCE.search(path.read_text("utf-8", "replace"))
        for path in names
        if path.is_file() and path.suffix != ".txt"
    )


def digest(definition: EnvironmentDefinition, source: Source, asked: Requested) -> str:
    """SHA-256 (hex) of everything that a resolution depends on: files with their variables, settings, Python's minor version and, without a lock, the date.

    The content of a requirements file that is included by its URL is not known here, just as that of a package index.
    """
    folder, main = source.folder, source.file
    found = {name: (folder / name).read_bytes() for name in _ALWAYS if (folder / name).is_file()}
    if source.form is not Form.REQUIREMENTS:  # those are among the files that were asked
        found[os.path.relpath(main, folder)] = main.read_bytes()
    found.update(
        {name: (folder / name).read_bytes() for name in _BESIDE.get(source.form, ()) if (folder / name).is_file()}
    )
    found.update({f"/{name}": content for name, content in asked.files.items()})
    found.update(_dynamic(folder))
    found.update(_above(folder))
    chosen = definition.settings
    settings: dict[str, Any] = {"lock": chosen.lock, "extras": chosen.extras, "groups": chosen.groups}
    texts = [requirements_file.decoded(content) for name, content in asked.files.items() if not name.endswith(".toml")]
    named = frozenset[str]().union(*(requirements_file.variables(text) for text in texts))
    if variables := {name: value for name, value in process.environment().items() if name in named}:
        settings["variables"] = variables
    if not source.is_locked:
        settings["limit"] = str(definition.limit)
    if is_about_checkout(source, asked):
        settings["folders"] = [definition.folder, definition.project]
        if not source.is_locked:
            # A setup.py may read its dependencies from any file of the commit.
            settings["committed"] = str(definition.committed)
        found.update(_of_projects(definition.checkout))
    total = hashlib.sha256(
        f"{_FORM}\n{definition.python}\n{main.name}\n{json.dumps(settings, sort_keys=True)}\n".encode()
    )
    for name, content in sorted(found.items()):
        total.update(f"{name} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def index_names(folder: Path) -> dict[str, str]:
    """The names of package indexes in the settings of uv and Poetry of a folder, by URL."""
    content = project_file.toml(folder / "pyproject.toml")
    tables = [project_file.toml(folder / "uv.toml").get("index"), project_file.at(content, "tool", "uv", "index")]
    tables.append(project_file.at(content, "tool", "poetry", "source"))
    indexes = [one for table in tables for one in table or () if isinstance(one, dict)]
    return {str(one["url"]): str(one["name"]) for one in indexes if "url" in one and "name" in one}


def has_own_limit(folder: Path) -> bool:
    """True if the project's own settings of uv say up to when packages may have been uploaded."""
    content = project_file.toml(folder / "pyproject.toml")
    return any(
        "exclude-newer" in (table or {})
        for table in (project_file.toml(folder / "uv.toml"), project_file.at(content, "tool", "uv"))
    )


def _dynamic(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files from which a build backend reads a project's dependencies."""
    tool = project_file.toml(folder / "pyproject.toml").get("tool", {})
    named: list[Any] = [entry.get("file", []) for entry in _tables(tool, "setuptools", "dynamic")]
    named += [entry.get("files", []) for entry in _tables(tool, "hatch", "metadata", "hooks")]
    for group in named:
        for name in [group] if isinstance(group, str) else group:
            if (folder / name).is_file():
                yield name, (folder / name).read_bytes()


def _tables(table: dict[str, Any], *path: str) -> list[dict[str, Any]]:
    for key in path:
        table = table.get(key, {}) if isinstance(table.get(key, {}), dict) else {}
    return [entry for entry in table.values() if isinstance(entry, dict)]


def _of_projects(checkout: Path) -> Iterator[tuple[str, bytes]]:
    """The files of all projects of a checkout, any of which may need another one."""
    for folder, folders, names in os.walk(checkout):
        folders[:] = sorted(set(folders) - _NOT_OURS)
        for name in names:
            path = Path(folder) / name
            if _OF_PROJECTS.fullmatch(name) and path.is_file():
                yield f"/{path.relative_to(checkout)}", path.read_bytes()


def _above(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files that uv reads in the folders above: its settings, and the uv.lock of a uv workspace."""
    for height, above in enumerate(folder.resolve().parents, 1):
        up = "../" * height
        if (above / "uv.toml").is_file():
            yield f"{up}uv.toml", (above / "uv.toml").read_bytes()
        settings = project_file.toml(above / "pyproject.toml").get("tool", {}).get("uv", {})
        if settings:
            yield f"{up}pyproject.toml", json.dumps(settings, sort_keys=True, default=str).encode()
        if "workspace" in settings and (above / "uv.lock").is_file():
            yield f"{up}uv.lock", (above / "uv.lock").read_bytes()
