"""The dependencies that a pyproject.toml declares, as Poetry reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import git_requirements, poetry_versions
from retrain.work.environments.project_file import at
from retrain.work.environments.pythons import Python


@dataclass(frozen=True)
class Declared:
    """A dependency of the project that applies to a Python. `constraint` is Poetry's, `*` for every version.

    `address` is set for one that is no version of an index: `git+https://...@v1`, an archive's address, or a path, as `is_path` says.
    """

    name: str
    constraint: str = "*"
    extras: frozenset[str] = frozenset()
    address: str = ""
    is_path: bool = False

    @property
    def requirement(self) -> str:
        """The requirement for uv. Of alternative constraints it has the last one, which is usually that of the newest versions."""
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        if self.is_path:
            return f"{self.address}{extras}"
        if self.address:
            return f"{self.name}{extras} @ {self.address}"
        return f"{self.name}{extras}{poetry_versions.alternatives(self.constraint)[-1]}"


def declares_itself(content: dict[str, Any]) -> bool:
    """True if a pyproject.toml declares its dependencies in Poetry's own table, which uv does not read."""
    return (
        "dependencies" not in (content.get("project") or {})
        and at(content, "tool", "poetry", "dependencies") is not None
    )


def python_constraint(content: dict[str, Any]) -> str | None:
    """The versions of Python that Poetry's table allows; None if it does not say."""
    said = at(content, "tool", "poetry", "dependencies", "python")
    return said if isinstance(said, str) else None


def declared(
    content: dict[str, Any], extras: tuple[str, ...], groups: tuple[str, ...], python: Python
) -> list[Declared]:
    """What the main group, these extras and these groups declare for a Python.

    Raises:
        EnvironmentDefinitionError: there is no such extra or group, or a constraint cannot be read.
    """
    poetry = at(content, "tool", "poetry") or {}
    chosen = {canonicalize_name(each) for each in extras}
    if declares_itself(content):
        by_extra: dict[str, set[str]] = {
            canonicalize_name(name): {canonicalize_name(each) for each in names}
            for name, names in (poetry.get("extras") or {}).items()
        }
        wanted: set[str] = {name for extra in chosen for name in by_extra.get(extra, ())}
        found = [*_table(poetry.get("dependencies") or {}, python, wanted)]
        known: set[str] = set(by_extra)
    else:
        project = content.get("project") or {}
        optional = {
            canonicalize_name(name): lines for name, lines in (project.get("optional-dependencies") or {}).items()
        }
        lines = [*(project.get("dependencies") or ()), *(line for extra in chosen for line in optional.get(extra, ()))]
        found = [*_lines(lines, poetry.get("dependencies") or {}, python)]
        known = set(optional)
    if unknown := sorted(chosen - known):
        raise EnvironmentDefinitionError(
            f"pyproject.toml has no extra {unknown[0]}, which packages.extras of the pipeline's file names. Correct the key."
        )
    for group in groups:
        found += _group(content, group, python)
    return found


def _group(content: dict[str, Any], group: str, python: Python) -> Iterator[Declared]:
    tables = [at(content, "tool", "poetry", "group", group, "dependencies")]
    if group == "dev":
        tables.append(at(content, "tool", "poetry", "dev-dependencies"))
    lines = at(content, "dependency-groups", group)
    if lines is None and not any(tables):
        raise EnvironmentDefinitionError(
            f"pyproject.toml has no group {group}, which packages.groups of the pipeline's file names. Correct the key."
        )
    for table in tables:
        yield from _table(table or {}, python, None)
    for each in lines or ():
        if isinstance(each, dict):
            yield from _group(content, str(each.get("include-group")), python)
    yield from _lines([each for each in lines or () if isinstance(each, str)], {}, python)


def _table(table: dict[str, Any], python: Python, wanted: set[str] | None) -> Iterator[Declared]:
    """The entries of one of Poetry's tables. Optional ones count if they are `wanted`; all do if that is None."""
    for name, said in table.items():
        canonical = canonicalize_name(name)
        if canonical == "python":
            continue
        for entry in said if isinstance(said, list) else [said]:
            fields = entry if isinstance(entry, dict) else {"version": str(entry)}
            optional = fields.get("optional") is True and wanted is not None and canonical not in wanted
            if not optional and _applies(fields, python):
                yield _of_fields(canonical, fields)


def _of_fields(name: str, fields: dict[str, Any]) -> Declared:
    extras = frozenset(canonicalize_name(each) for each in fields.get("extras") or ())
    if git := fields.get("git"):
        reference = fields.get("rev") or fields.get("tag") or fields.get("branch")
        return Declared(name, "*", extras, git_requirements.address(git, reference, fields.get("subdirectory")))
    if path := fields.get("path") or fields.get("file"):
        return Declared(name, "*", extras, str(path), is_path=True)
    if url := fields.get("url"):
        return Declared(name, "*", extras, str(url))
    return Declared(name, str(fields.get("version", "*")), extras)


def _applies(fields: dict[str, Any], python: Python) -> bool:
    if (wanted := fields.get("python")) and not poetry_versions.allows(str(wanted), python.full):
        return False
    if (platform := fields.get("platform")) and platform != python.markers["sys_platform"]:
        return False
    return applies(str(fields.get("markers") or ""), python)


def applies(marker: str, python: Python, extra: str = "") -> bool:
    """True if a marker holds for a Python, with one extra of its package. One that cannot be read holds."""
    if not marker:
        return True
    try:
        return Marker(marker).evaluate({**python.markers, "extra": extra})
    except InvalidMarker:
        return True


def _lines(lines: list[str], enriched: dict[str, Any], python: Python) -> Iterator[Declared]:
    """The requirements of [project]; Poetry's own table may add where one comes from."""
    sources = {canonicalize_name(name): fields for name, fields in enriched.items() if isinstance(fields, dict)}
    for line in lines:
        try:
            each = Requirement(line)
        except InvalidRequirement as e:
            raise EnvironmentDefinitionError(
                f"pyproject.toml declares {line!r}, which is no requirement: {e}. Correct it in a new release."
            ) from e
        name = canonicalize_name(each.name)
        if each.marker is not None and not each.marker.evaluate({**python.markers, "extra": ""}):
            continue
        extras = frozenset(canonicalize_name(extra) for extra in each.extras)
        from_table = _of_fields(name, sources.get(name, {}))
        if from_table.address:
            yield from_table
        elif each.url:
            yield Declared(name, "*", extras, each.url)
        else:
            yield Declared(name, str(each.specifier) or "*", extras)
