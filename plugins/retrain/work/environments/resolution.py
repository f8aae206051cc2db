"""Resolves the files of a release, or of the ledger, to the frozen text of an environment."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import folders, frozen, package_files, uv
from retrain.work.file_lock import locked
from retrain.work.files import write_whole

RESOLVED = "resolved"  # a folder; the time of a file in it is that of its last use
_PLAIN = ("--quiet", "--no-annotate", "--no-header", "--emit-index-url", "--emit-find-links")


def resolve(project: Path, environments: Path) -> str:
    """The frozen text of the project folder `project`: every package by version and hash.

    A `uv.lock` is exported as it is. A `requirements.txt`, or a `pyproject.toml` without a uv.lock, is resolved once per content:
    the result is remembered below `environments`.

    Raises:
        EnvironmentDefinitionError: the folder does not define an environment, or one that cannot be resolved, or names a local
            path or a password.
        EnvironmentBuildError: the package index could not be reached.
    """
    name = package_files.digest(project)
    if text := _remembered(name, environments):
        return text
    memory = environments / RESOLVED / name
    with locked(memory.with_suffix(".lock"), what=f"the resolution of {project.name}/", timeout=uv.LONGEST):
        text = _remembered(name, environments) or _resolve(project)
        write_whole(memory.with_suffix(".txt"), text.encode())
        return text


def of_wheels(project: Path, timeout: float) -> str:
    """As `resolve`, without running any code of a package, and without remembering the result.

    Args:
        project: the project folder.
        timeout: seconds, for each start of uv.

    Raises:
        EnvironmentDefinitionError: as for `resolve`, or a package has no wheel, so that only its own code can tell what it needs.
        EnvironmentBuildError: the package index could not be reached.
    """
    package_files.digest(project)
    return _resolve(project, more=("--no-build",), timeout=timeout)


def has_wheel(requirement: str, python: str, timeout: float) -> bool:
    """True if the package index has a wheel of a requirement, without its dependencies, for a minor version of Python.

    Raises:
        ConfigurationError: there is no uv program.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "one.txt").write_text(f"{requirement}\n", encoding="utf-8")
        one = ("pip", "compile", *_PLAIN, "--no-deps", "--no-build", "--python-version", python, "one.txt")
        return uv.run(*one, cwd=Path(folder), timeout=timeout).returncode == 0


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
            return _remembered(package_files.digest(project), environments) or _resolve(project, check="--frozen")
        with tempfile.TemporaryDirectory() as folder:
            beside = Path(folder) / project.name
            beside.mkdir()
            for name in ("pyproject.toml", "uv.toml"):
                if (project / name).is_file():
                    shutil.copy(project / name, beside)
            (beside / "uv.lock").write_bytes(lock.encode())
            return _resolve(beside, check="--frozen")
    except EnvironmentDefinitionError as e:
        raise EnvironmentDefinitionError(f"The recorded environment cannot be built: {e} {uv.WITHOUT}") from e


def remembered(project: Path, environments: Path) -> str | None:
    """The frozen text of a project folder, if its resolution is remembered."""
    return _remembered(package_files.digest(project), environments)


def _remembered(name: str, environments: Path) -> str | None:
    for folder in folders.searched(environments):
        memory = folder / RESOLVED / f"{name}.txt"
        with suppress(FileNotFoundError):  # the housekeeping may remove it at this moment
            text = memory.read_bytes().decode()
            if folder == environments.absolute():
                folders.note_use(memory)
            return text
    return None


def _resolve(project: Path, check: str = "--locked", more: tuple[str, ...] = (), timeout: float = uv.TIMEOUT) -> str:
    """Run uv; `more` are options for `uv export` and `uv pip compile` alike, `timeout` is in seconds for each start."""
    project = project.absolute()
    source = package_files.source(project)
    problem = f"The release's environment cannot be resolved from {project.name}/"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "emitted.txt"
        names = package_files.index_names(project)
        # For a file without requirements, uv writes only the package indexes that this machine is configured with.
        (Path(folder) / "nothing.txt").touch()
        machine = _emitted(out, ["pip", "compile", *_PLAIN, "nothing.txt"], Path(folder), problem, timeout)
        if source.name == "uv.lock":
            export = [
                "export",
                check,
                "--no-default-groups",
                "--no-emit-project",
                *_PLAIN,
                *more,
                "--project",
                str(project),
            ]
            text = frozen.canonical(_emitted(out, export, project, problem, timeout), machine, names)
        else:
            compiled = [*_compile(source), *more]
            text = frozen.canonical(_emitted(out, compiled, project, problem, timeout), machine, names)
        frozen.refuse_local_and_secret(text, f"{project.name}/{source.name}")
        if frozen.unhashed(text):
            # A uv.lock has the hashes of the package index, and an index may have none. Then uv computes them.
            (Path(folder) / "unhashed.txt").write_text(text, "utf-8")
            hashed = [*_compile(Path(folder) / "unhashed.txt"), *more]
            text = frozen.canonical(_emitted(out, hashed, project, problem, timeout), machine, names)
    if unhashed := frozen.unhashed(text):
        raise EnvironmentDefinitionError(
            f"{problem}: {', '.join(unhashed)} has no hash, and none could be computed. {uv.FIX}"
        )
    return text


def _compile(source: Path) -> list[str]:
    return [
        "pip", "compile", *_PLAIN, "--generate-hashes", "--emit-build-options", "--emit-index-annotation", "--python", sys.executable,
        str(source),
    ]  # fmt: skip


def _emitted(out: Path, arguments: list[str], project: Path, problem: str, timeout: float) -> str:
    # uv would prefer the versions that an existing file has.
    out.unlink(missing_ok=True)
    done = uv.run(*arguments, "--output-file", out, cwd=project, timeout=timeout)
    if done.returncode != 0:
        raise uv.failure(done, problem, uv.FIX)
    return out.read_text("utf-8")
