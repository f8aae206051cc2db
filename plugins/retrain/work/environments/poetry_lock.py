"""The packages of a poetry.lock that the declared dependencies of its pyproject.toml lead to."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from retrain.work.environments import git_requirements, poetry_versions
from retrain.work.environments.errors import StaleLockError
from retrain.work.environments.locked import LockedRequirements
from retrain.work.environments.poetry_project import Declared, applies, declared
from retrain.work.environments.project_file import at
from retrain.work.environments.pythons import Python

_FIX = "Run poetry lock, and commit poetry.lock; or name another file in repository.environment."
_PYPI = ("https://pypi.org/simple", "https://pypi.org/simple/")


@dataclass(frozen=True)
class _Wanted:
    """A dependency that is still to be followed. `by` names its origin for errors."""

    name: str
    constraint: str
    extras: frozenset[str]
    by: str


def read(
    lock: str, content: dict[str, Any], extras: tuple[str, ...], groups: tuple[str, ...], python: Python
) -> LockedRequirements:
    """The packages that a project needs, exactly as its lock has them.

    Args:
        lock: the text of poetry.lock.
        content: the content of the pyproject.toml beside it.
        extras: optional dependencies of the project that are needed too.
        groups: groups of dependencies that are needed besides the main one.
        python: the Python that they are for.

    Raises:
        StaleLockError: the lock cannot be read, or lacks a package or the version that is declared.
        EnvironmentDefinitionError: as for `declared`.
    """
    try:
        table = tomllib.loads(lock)
    except tomllib.TOMLDecodeError as e:
        raise StaleLockError(f"poetry.lock cannot be read: {e}. {_FIX}") from e
    packages: dict[str, list[dict[str, Any]]] = {}
    for each in table.get("package", ()):
        packages.setdefault(canonicalize_name(each["name"]), []).append(each)
    chosen = _closure(packages, declared(content, extras, groups, python), python)
    older = at(table, "metadata", "files") or {}
    lines, paths = [], []
    for name in sorted(chosen):
        package = chosen[name]
        if at(package, "source", "type") in ("directory", "file"):
            paths.append(str(package["source"]["url"]))
        else:
            lines.append(_line(name, package, package.get("files") or older.get(package["name"]) or []))
    indexes = dict.fromkeys(
        str(each["source"]["url"])
        for each in chosen.values()
        if at(each, "source", "type") == "legacy" and each["source"]["url"] not in _PYPI
    )
    names = {
        str(each["url"]): str(each["name"])
        for each in at(content, "tool", "poetry", "source") or ()
        if "url" in each and "name" in each
    }
    return LockedRequirements(
        tuple(lines), tuple(paths), tuple(indexes), {url: name for url, name in names.items() if url in indexes}
    )


def _closure(
    packages: dict[str, list[dict[str, Any]]], roots: list[Declared], python: Python
) -> dict[str, dict[str, Any]]:
    """The package of each name that the declared dependencies lead to."""
    chosen: dict[str, dict[str, Any]] = {}
    followed: dict[str, frozenset[str]] = {}
    waiting = [
        _Wanted(each.name, "*" if each.address else each.constraint, each.extras, "pyproject.toml") for each in roots
    ]
    while waiting:
        wanted = waiting.pop()
        package = chosen.get(wanted.name) or _fitting(packages, wanted, python)
        if not _fits(package, wanted):
            raise _stale(wanted, f"has {package['name']} {package['version']}")
        before = followed.get(wanted.name)
        if before is not None and wanted.extras <= before:
            continue
        chosen[wanted.name], followed[wanted.name] = package, (before or frozenset()) | wanted.extras
        waiting += _needs(package, followed[wanted.name], python)
    return chosen


def _fitting(packages: dict[str, list[dict[str, Any]]], wanted: _Wanted, python: Python) -> dict[str, Any]:
    """The newest package of a name that is for this Python, and has a version that is wanted."""
    there = packages.get(wanted.name)
    if not there:
        raise _stale(wanted, f"has no {wanted.name}")
    ours = [each for each in there if poetry_versions.allows(str(each.get("python-versions", "*")), python.full)]
    ours = [each for each in ours if _marked(each, python)] or ours
    if not ours:
        raise _stale(
            wanted, f"has {wanted.name} for Python {there[0].get('python-versions')} only, not for {python.full}"
        )
    return max(ours, key=lambda each: (_fits(each, wanted), _version(each)))


def _fits(package: dict[str, Any], wanted: _Wanted) -> bool:
    return poetry_versions.allows(wanted.constraint, str(package["version"]))


def _marked(package: dict[str, Any], python: Python) -> bool:
    """Since Poetry 2 a package has the markers under which it is installed, or those of each group."""
    markers = package.get("markers", "")
    return any(applies(str(each), python) for each in (markers.values() if isinstance(markers, dict) else [markers]))


def _needs(package: dict[str, Any], extras: frozenset[str], python: Python) -> Iterator[_Wanted]:
    of_extras = {canonicalize_name(str(line).split(" ")[0].partition("[")[0]) for extra, lines in (package.get("extras") or {}).items()
                 if canonicalize_name(extra) in extras for line in lines}  # fmt: skip
    for name, said in (package.get("dependencies") or {}).items():
        for entry in said if isinstance(said, list) else [said]:
            fields = entry if isinstance(entry, dict) else {"version": str(entry)}
            if fields.get("optional") and canonicalize_name(name) not in of_extras:
                continue
            if any(applies(str(fields.get("markers") or ""), python, extra) for extra in ("", *extras)):
                constraint = "*" if {"git", "path", "url"} & fields.keys() else str(fields.get("version", "*"))
                more = frozenset(canonicalize_name(extra) for extra in fields.get("extras") or ())
                yield _Wanted(canonicalize_name(name), constraint, more, str(package["name"]))


def _line(name: str, package: dict[str, Any], files: list[dict[str, Any]]) -> str:
    source = package.get("source") or {}
    hashes = "".join(f" --hash={each['hash']}" for each in files if "hash" in each)
    if source.get("type") == "git":
        address = git_requirements.address(source["url"], source["resolved_reference"], source.get("subdirectory"))
        return f"{name} @ {address}"
    if source.get("type") == "url":
        return f"{name} @ {source['url']}{hashes}"
    return f"{name}=={package['version']}{hashes}"


def _version(package: dict[str, Any]) -> Version:
    try:
        return Version(str(package["version"]))
    except InvalidVersion:
        return Version("0")


def _stale(wanted: _Wanted, has: str) -> StaleLockError:
    needs = "" if wanted.constraint == "*" else f" {wanted.constraint}"
    return StaleLockError(f"poetry.lock does not fit: it {has}, and {wanted.by} needs {wanted.name}{needs}. {_FIX}")
