"""The packages of a Pipfile.lock."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from packaging.utils import canonicalize_name

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import git_requirements, poetry_versions
from retrain.work.environments.errors import StaleLockError
from retrain.work.environments.locked import LockedRequirements
from retrain.work.environments.poetry_project import applies
from retrain.work.environments.pythons import Python

_FIX = "Run pipenv lock, and commit Pipfile.lock; or name another file in repository.environment."
_PYPI = ("https://pypi.org/simple", "https://pypi.python.org/simple", "https://pypi.org/simple/")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def read(
    lock: str, pipfile: str | None, extras: tuple[str, ...], groups: tuple[str, ...], python: Python
) -> LockedRequirements:
    """The packages of the section `default`, and of those that `groups` name, that apply to a Python.

    Args:
        lock: the text of Pipfile.lock.
        pipfile: the text of the Pipfile beside it; None if there is none.
        extras: must be empty, because a Pipfile has no extras.
        groups: further sections; `dev` and `develop` are the same one.
        python: the Python that they are for.

    Raises:
        StaleLockError: the lock cannot be read, or lacks a package of the Pipfile.
        EnvironmentDefinitionError: a group or an extra does not exist.
    """
    if extras:
        raise EnvironmentDefinitionError(
            f"Pipfile.lock has no extras, and packages.extras of the pipeline's file names {extras[0]}. Remove the key."
        )
    try:
        content = json.loads(lock)
        default = content["default"]
    except (ValueError, KeyError, TypeError) as e:
        raise StaleLockError(f"Pipfile.lock cannot be read: {e}. {_FIX}") from e
    sections = {"default": default}
    for group in groups:
        name = "develop" if group == "dev" else group
        if name not in content:
            raise EnvironmentDefinitionError(
                f"Pipfile.lock has no section {name}, which packages.groups of the pipeline's file names. Correct the key."
            )
        sections[name] = content[name]
    _require_fit(sections["default"], pipfile)
    packages = {canonicalize_name(name): entry for each in reversed(sections.values()) for name, entry in each.items()}
    ours = {name: entry for name, entry in sorted(packages.items()) if applies(str(entry.get("markers") or ""), python)}
    paths = [str(entry.get("path") or entry.get("file")) for entry in ours.values() if _is_path(entry)]
    sources = [each for each in content.get("_meta", {}).get("sources", ()) if each.get("url") not in _PYPI]
    # uv fills in variables in a requirements file, and not in the address of a named index.
    names = {each["url"]: str(each["name"]) for each in sources if each.get("name") and "$" not in each["url"]}
    lines = tuple(_line(name, entry) for name, entry in ours.items() if not _is_path(entry))
    return LockedRequirements(
        lines, tuple(paths), tuple(dict.fromkeys(_braced(each["url"]) for each in sources)), names
    )


def _require_fit(default: dict[str, Any], pipfile: str | None) -> None:
    try:
        wanted = tomllib.loads(pipfile or "").get("packages", {})
    except tomllib.TOMLDecodeError as e:
        raise StaleLockError(
            f"The Pipfile beside Pipfile.lock cannot be read: {e}. Correct it in a new release."
        ) from e
    locked = {canonicalize_name(name): entry for name, entry in default.items()}
    for name, said in wanted.items():
        entry = locked.get(canonicalize_name(name))
        if entry is None:
            raise StaleLockError(f"Pipfile.lock does not fit: it has no {name}, which the Pipfile names. {_FIX}")
        constraint = str(said.get("version", "*")) if isinstance(said, dict) else str(said)
        version = str(entry.get("version", "")).removeprefix("==")
        if version and not poetry_versions.allows(constraint, version):
            raise StaleLockError(
                f"Pipfile.lock does not fit: it has {name} {version}, and the Pipfile needs {constraint}. {_FIX}"
            )


def _is_path(entry: dict[str, Any]) -> bool:
    return bool(entry.get("path") or (entry.get("file") and "://" not in str(entry["file"])))


def _line(name: str, entry: dict[str, Any]) -> str:
    extras = f"[{','.join(sorted(entry['extras']))}]" if entry.get("extras") else ""
    hashes = "".join(f" --hash={each}" for each in sorted(entry.get("hashes") or ()))
    if entry.get("git"):
        address = git_requirements.address(_braced(entry["git"]), entry["ref"], entry.get("subdirectory"))
        return f"{name}{extras} @ {address}"
    if entry.get("file"):
        return f"{name}{extras} @ {_braced(entry['file'])}{hashes}"
    return f"{name}{extras}{str(entry.get('version', '')).removeprefix('*')}{hashes}"


def _braced(address: str) -> str:
    """The address with its variables as `${NAME}`, which uv fills in from the worker's environment."""
    return _VARIABLE.sub(lambda found: f"${{{found[1] or found[2]}}}", address)
