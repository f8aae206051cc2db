"""Gets the packages of a release with their versions from its file, in one way for each form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import (
    checkout_packages,
    compiled,
    fixed_versions,
    frozen,
    local_paths,
    package_files,
    pipfile_lock,
    poetry_lock,
    poetry_project,
    project_file,
    uv,
)
from retrain.work.environments.compiled import PLAIN, Call, Limit
from retrain.work.environments.definition import EnvironmentDefinition
from retrain.work.environments.local_project import LocalProject
from retrain.work.environments.locked import LockedRequirements
from retrain.work.environments.requested import Requested
from retrain.work.environments.sources import Form, Source


@dataclass(frozen=True)
class FoundPackages:
    """`text` has the packages of indexes, by version, and their hashes if they are known; `local` are those of the checkout.

    `names` are the lock's names of indexes, by address.
    """

    text: str
    local: frozenset[LocalProject]
    names: dict[str, str] = field(default_factory=dict)


def packages(
    definition: EnvironmentDefinition, source: Source, asked: Requested, call: Call, machine: str, check: str
) -> FoundPackages:
    """The packages of a release.

    Args:
        definition: where they are named, and how they are resolved.
        source: the file that they are named in.
        asked: what it asks for, if it is a requirements file.
        call: how uv is started.
        machine: the machine's own indexes, as uv writes them.
        check: the option by which `uv export` checks a uv.lock.

    Raises:
        EnvironmentDefinitionError: they cannot be resolved, or there is no such extra or group.
        EnvironmentBuildError: the package index could not be reached.
    """
    found = _of_form(definition, source, asked, call, check)
    if source.form in (Form.POETRY, Form.PIPENV):  # a text that uv has not written
        found = replace(found, text=f"{machine}\n{found.text}")
    if own := _own(definition, source, found.local):
        return replace(found, local=found.local | {own})
    return found


def _of_form(
    definition: EnvironmentDefinition, source: Source, asked: Requested, call: Call, check: str
) -> FoundPackages:
    extras, groups = definition.settings.extras, definition.settings.groups
    content = project_file.toml(source.folder / "pyproject.toml")
    match source.form:
        case Form.UV:
            chosen = [*_options("--extra", extras), *_options("--group", groups)]
            project = ["--project", str(source.folder)]
            text = compiled.emitted(call, "export", check, "--no-default-groups", *PLAIN, *call.more, *chosen, *project)
            # uv writes paths relative to the lock of a workspace.
            return _separated(text, source.file.parent, definition, source, call)
        case Form.POETRY:
            locked = poetry_lock.read(source.file.read_text("utf-8"), content, extras, groups, call.python)
            return _of_locked(locked, definition, source)
        case Form.PIPENV:
            pipfile = source.folder / "Pipfile"
            beside = pipfile.read_text("utf-8") if pipfile.is_file() else None
            locked = pipfile_lock.read(source.file.read_text("utf-8"), beside, extras, groups, call.python)
            return _of_locked(locked, definition, source)
        case Form.PROJECT if poetry_project.declares_itself(content):
            declared = poetry_project.declared(content, extras, groups, call.python)
            lines = [
                _absolute(each.requirement, definition, source) if each.is_path else each.requirement
                for each in declared
            ]
            return _compiled(Requested(tuple(lines), pinned=fixed_versions.pinned(lines)), definition, source, call)
        case Form.REQUIREMENTS:
            _refuse_choices(definition, source)
            return _compiled(asked, definition, source, call)
        case _:
            chosen = [*_options("--extra", extras), *_options("--group", groups)]
            direct = project_file.declared(source.folder)
            pinned = fixed_versions.pinned(direct)
            text = compiled.compiled(
                call, source.file, *chosen, limit=_limit(definition, source, direct, pinned), pinned=pinned
            )
            return _separated(text, source.folder, definition, source, call)


def _compiled(asked: Requested, definition: EnvironmentDefinition, source: Source, call: Call) -> FoundPackages:
    wanted, constraints = call.scratch / "requirements.txt", call.scratch / "constraints.txt"
    wanted.write_text("\n".join([*asked.lines, ""]), "utf-8")
    constraints.write_text("\n".join([*asked.constraints, ""]), "utf-8")
    options = ["--constraints", str(constraints)] if asked.constraints else []
    options += ["--prerelease", "allow"] if asked.prereleases else []
    limit = _limit(definition, source, asked.lines, asked.pinned)
    text = compiled.compiled(call, wanted, *options, limit=limit, pinned=asked.pinned)
    found = _separated(text, source.folder, definition, source, call)
    return FoundPackages(_with_given_hashes(found.text, asked, source), found.local)


def _with_given_hashes(text: str, asked: Requested, source: Source) -> str:
    """Of a requirement whose file gives hashes, keep only those: the index may have got more files since."""
    if not asked.hashes:
        return text
    kept = []
    for line in frozen.logical(text):
        requirement, *hashes = line.split(" --hash=")
        given = asked.hashes.get(canonicalize_name(frozen.name_and_version(requirement)[0].partition("[")[0].strip()))
        if given and not line.startswith("--"):
            ours = [each for each in hashes if each.strip() in given]
            if not ours:
                raise EnvironmentDefinitionError(
                    f"{source.file.name} gives hashes of {requirement.strip()} that no file of the package index has. {uv.FIX}"
                )
            line = " --hash=".join([requirement, *ours])  # noqa: PLW2901 - the line as it is kept
        kept.append(line)
    # What uv says about an index is in its comments.
    return "\n".join([*kept, *re.findall(r"^\s+# from http\S+$", text, re.MULTILINE), ""])


def _separated(text: str, base: Path, definition: EnvironmentDefinition, source: Source, call: Call) -> FoundPackages:
    found = checkout_packages.separate(text, base, definition.checkout, source.file.name, call.python)
    return FoundPackages(found.text, found.local)


def _of_locked(locked: LockedRequirements, definition: EnvironmentDefinition, source: Source) -> FoundPackages:
    paths = [_inside(path, definition, source) for path in locked.paths]
    local = frozenset(checkout_packages.of(path, definition.checkout) for path in paths)
    return FoundPackages(locked.text, local, locked.names)


def _inside(path: str, definition: EnvironmentDefinition, source: Source) -> Path:
    return local_paths.inside(path, source.file.name, definition.checkout, (source.folder,))


def _absolute(requirement: str, definition: EnvironmentDefinition, source: Source) -> str:
    path, bracket, extras = requirement.partition("[")
    return f"{_inside(path, definition, source)}{bracket}{extras}"


def _own(definition: EnvironmentDefinition, source: Source, found: frozenset[LocalProject]) -> LocalProject | None:
    """The release's own project, if it can be installed and is not among the packages yet.

    A requirements file or a Pipfile asks for it only by a line; without one it is installed if that works.
    """
    if source.form is Form.UV:
        return None
    is_asked = source.form not in (Form.REQUIREMENTS, Form.PIPENV)
    folders = (
        [source.folder] if is_asked else [source.folder, definition.checkout / definition.project, definition.checkout]
    )
    for folder in folders:
        if project_file.is_installable(folder):
            own = checkout_packages.of(folder, definition.checkout, required=is_asked)
            return None if own.path in {each.path for each in found} else own
    return None


def _limit(
    definition: EnvironmentDefinition, source: Source, direct: Iterable[str], pinned: frozenset[str]
) -> Limit | None:
    """The limit of the definition. A date that the pipeline's file gives binds the packages that are named without a version."""
    if definition.limit is None:
        return None
    if definition.settings.as_of != "commit":
        return Limit(definition.limit, fixed_versions.names(direct) - pinned)
    return None if package_files.has_own_limit(source.folder) else Limit(definition.limit)


def _options(name: str, values: tuple[str, ...]) -> list[str]:
    return [part for value in values for part in (name, value)]


def _refuse_choices(definition: EnvironmentDefinition, source: Source) -> None:
    settings = definition.settings
    for key, values in (("extras", settings.extras), ("groups", settings.groups)):
        if values:
            raise EnvironmentDefinitionError(
                f"packages.{key} of the pipeline's file names {values[0]}, and {source.file.name} has no {key}. Remove the key, or write a "
                f"line such as -e .[{values[0]}] into the file."
            )
