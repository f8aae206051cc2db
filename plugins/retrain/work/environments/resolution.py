"""Resolves the files of a release, or of the ledger, to the frozen text of an environment."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import (
    checkout_packages,
    compiled,
    emitting,
    folders,
    frozen,
    package_files,
    pythons,
    required_python,
    sources,
    uv,
)
from retrain.work.environments.compiled import PLAIN, Call
from retrain.work.environments.definition import EnvironmentDefinition, of_folder
from retrain.work.environments.requested import Requested
from retrain.work.environments.sources import OTHERS, Source
from retrain.work.file_lock import locked
from retrain.work.files import write_whole

log = logging.getLogger(__name__)

RESOLVED = "resolved"  # a folder; the time of a file in it is that of its last use
_NOT_COPIED = shutil.ignore_patterns(".venv", "node_modules", "__pycache__")


def resolve(definition: EnvironmentDefinition, environments: Path) -> str:
    """The frozen text of an environment: every package by version and hash, and those of the checkout itself by path.

    A lock is taken as it is. Other files are resolved once per content, as of the day of the commit: the result is remembered below
    `environments`.

    Raises:
        EnvironmentDefinitionError: the files do not define an environment, or one that cannot be resolved, or name a path outside the
            checkout or a password.
        EnvironmentBuildError: the package index could not be reached, or this machine does not have the Python.
        SuppliedLockError: the file that `packages.lock` names is missing, or was changed since the run was resolved.
    """
    source = sources.choose(definition)
    asked = package_files.requested_of(definition, source)
    name = package_files.digest(definition, source, asked)
    log.info("%s", chosen(definition, source))
    if text := _remembered(name, environments):
        return text
    memory = environments / RESOLVED / name
    with locked(memory.with_suffix(".lock"), what=f"the resolution of {definition.name}", timeout=uv.LONGEST):
        text = _remembered(name, environments) or _resolve(definition)
        write_whole(memory.with_suffix(".txt"), text.encode())
        return text


def of_wheels(definition: EnvironmentDefinition, timeout: float) -> str:
    """As `resolve`, without running any code of a package, and without remembering the result.

    Args:
        definition: the files, and how they are resolved.
        timeout: seconds, for each start of uv.

    Raises:
        EnvironmentDefinitionError: as for `resolve`, or a package has no wheel, so that only its own code can tell what it needs.
        EnvironmentBuildError: as for `resolve`.
    """
    return _resolve(definition, more=("--no-build",), timeout=timeout)


def has_wheel(requirement: str, python: str, timeout: float) -> bool:
    """True if the package index has a wheel of a requirement, without its dependencies, for a minor version of Python.

    Raises:
        ConfigurationError: there is no uv program.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "one.txt").write_text(f"{requirement}\n", encoding="utf-8")
        one = ("pip", "compile", *PLAIN, "--no-deps", "--no-build", "--python-version", python, "one.txt")
        return uv.run(*one, cwd=Path(folder), timeout=timeout).returncode == 0


def chosen(definition: EnvironmentDefinition, source: Source) -> str:
    """Which file the packages come from, which ones are ignored, and as of which day, in a sentence for a log."""
    name = f"{source.file.name} beside the pipeline's file" if definition.supplied else source.file.name
    ignored = [f"{each} ({OTHERS[each]})" if each in OTHERS else each for each in source.ignored]
    aside = f"; ignored: {', '.join(ignored)}" if ignored else ""
    if source.is_locked:
        return f"The packages of {definition.name} come from {name}{aside}."
    when = f"as of {definition.limit:%Y-%m-%d %H:%M} UTC" if definition.limit else "as of today"
    return f"The packages of {definition.name} come from {name}{aside}. Those without a pinned version: {when} (packages.as_of: {definition.settings.as_of})."


def frozen_of_recorded(lock: str, project: Path, environments: Path) -> str:
    """The frozen text of an `environment.lock` in the ledger.

    That is a frozen text already, or a uv.lock or uv's own requirements, which earlier deployments recorded.

    Args:
        lock: the content of `environment.lock`.
        project: the project folder in a checkout of the recorded commit, with the pyproject.toml that a uv.lock belongs to.
        environments: where resolutions are remembered.

    Raises:
        EnvironmentDefinitionError: it names a local path, or does not belong to this pyproject.toml.
    """
    if frozen.is_canonical(lock):
        return lock
    own = project / "uv.lock"
    try:
        if "[[package]]" not in lock and not lock.startswith("version = "):
            text = frozen.canonical(lock)
            frozen.refuse_local_and_secret(text, "environment.lock")
            return text
        if own.is_file() and own.read_bytes() == lock.encode():
            return remembered(project, environments) or _resolve(of_folder(project), check="--frozen")
        with tempfile.TemporaryDirectory() as folder:
            beside = Path(folder) / project.name
            beside.mkdir()
            for name in ("pyproject.toml", "uv.toml"):
                if (project / name).is_file():
                    shutil.copy(project / name, beside)
            (beside / "uv.lock").write_bytes(lock.encode())
            return _resolve(of_folder(beside), check="--frozen")
    except EnvironmentDefinitionError as e:
        raise EnvironmentDefinitionError(f"The recorded environment cannot be built: {e} {uv.WITHOUT}") from e


def remembered(project: Path, environments: Path) -> str | None:
    """The frozen text of a folder that is no release, if its resolution is remembered."""
    definition = of_folder(project)
    source = sources.choose(definition)
    asked = package_files.requested_of(definition, source)
    return _remembered(package_files.digest(definition, source, asked), environments)


def _remembered(name: str, environments: Path) -> str | None:
    for folder in folders.searched(environments):
        memory = folder / RESOLVED / f"{name}.txt"
        with suppress(FileNotFoundError):  # the housekeeping may remove it at this moment
            text = memory.read_bytes().decode()
            if folder == environments.absolute():
                folders.note_use(memory)
            return text
    return None


def _resolve(
    definition: EnvironmentDefinition, check: str = "--locked", more: tuple[str, ...] = (), timeout: float = uv.TIMEOUT
) -> str:
    """Run uv; `more` are options for `uv export` and `uv pip compile` alike, `timeout` is in seconds for each start."""
    definition = replace(definition, checkout=definition.checkout.absolute())
    python = pythons.require(definition.python)
    required_python.require(definition, sources.choose(definition), python)
    checkout_packages.require_inside(sources.choose(definition), definition.checkout)
    problem = f"The release's environment cannot be resolved from {definition.name}"
    with tempfile.TemporaryDirectory() as scratch, _workplace(definition, more) as (there, source, asked):
        call = Call(python, source.folder, Path(scratch), there.checkout, problem, more, timeout)
        # For a file without requirements, uv writes only the package indexes that this machine is configured with.
        (call.scratch / "nothing.txt").touch()
        machine = compiled.emitted(replace(call, cwd=call.scratch, more=()), "pip", "compile", *PLAIN, "nothing.txt")
        found = emitting.packages(there, source, asked, call, machine, check)
        names = {**package_files.index_names(source.folder), **found.names}
        text = frozen.canonical(found.text, machine, names, python=python.version, local=found.local)
        frozen.refuse_local_and_secret(text, f"{definition.name}{source.file.name}")
        if frozen.unhashed(text):
            # A lock has the hashes of the package index, and an index may have none. Then uv computes them.
            (call.scratch / "unhashed.txt").write_text(text, "utf-8")
            hashed = compiled.compiled(call, call.scratch / "unhashed.txt")
            text = frozen.canonical(hashed, machine, names, python=python.version, local=found.local)
    if unhashed := frozen.unhashed(text):
        raise EnvironmentDefinitionError(
            f"{problem}: {', '.join(unhashed)} has no hash, and none could be computed. {uv.FIX}"
        )
    return text


@contextmanager
def _workplace(
    definition: EnvironmentDefinition, more: tuple[str, ...]
) -> Iterator[tuple[EnvironmentDefinition, Source, Requested]]:
    """The definition with its files, in a copy of the checkout if packages of it may be built, which writes beside their code."""
    source = sources.choose(definition)
    asked = package_files.requested_of(definition, source)
    if "--no-build" in more or not package_files.is_about_checkout(source, asked):
        yield definition, source, asked
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / definition.checkout.name
        shutil.copytree(definition.checkout, copy, symlinks=True, ignore=_NOT_COPIED)
        there = replace(definition, checkout=copy)
        source = sources.choose(there)
        yield there, source, package_files.requested_of(there, source)
