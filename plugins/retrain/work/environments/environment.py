"""A release's own environment: resolved once to a frozen text, installed from it once, shared by all runs with that text."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import EnvironmentDefinitionError, EnvironmentGoneError
from retrain.work.environments import frozen, package_files, uv
from retrain.work.file_lock import locked
from retrain.work.files import write_whole
from retrain.work.process import Finished

_LONGEST = 4 * uv.TIMEOUT  # uv is started as often under one lock
_COMPLETE = ".complete"
_FROZEN = "frozen.txt"
_RESOLVED = "resolved"
_FIX = "Fix it in a new release."
_PLAIN = ("--quiet", "--no-annotate", "--no-header", "--emit-index-url", "--emit-find-links")


@dataclass(frozen=True)
class Environment:
    """An installed environment. `frozen` is the file of what was installed; `identity` is the SHA-256 (hex) of its bytes."""

    path: Path
    identity: str
    frozen: Path

    @property
    def bin(self) -> Path:
        return self.path / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def has_dvc_on_s3(self) -> bool:
        """Whether DVC and its S3 remote are both installed."""
        return (self.bin / "dvc").is_file() and any(self.path.glob("lib/python*/site-packages/dvc_s3"))


def provide(project: Path, environments: Path) -> Environment:
    """The environment of the project folder `project`: the one that came with the worker's image, or is below `environments`, or is built there.

    Raises: as `resolve` and `install`.
    """
    return install(resolve(project, environments), environments)


def resolve(project: Path, environments: Path) -> str:
    """The frozen text of the project folder `project`: every package by version and hash.

    A `uv.lock` is exported as it is. A `requirements.txt`, or a `pyproject.toml` without a lock, is resolved once per content:
    the outcome is remembered below `environments`.

    Raises:
        EnvironmentDefinitionError: the folder describes no environment, or one that cannot be resolved, or names a local path.
        EnvironmentBuildError: the package index could not be reached.
    """
    name = package_files.digest(project)
    if text := _remembered(name, environments):
        return text
    memory = environments / _RESOLVED / name
    with locked(memory.with_suffix(".lock"), what=f"the resolution of {project.name}/", timeout=_LONGEST):
        text = _remembered(name, environments) or _resolve(project)
        write_whole(memory.with_suffix(".txt"), text.encode())
        return text


def install(text: str, environments: Path) -> Environment:
    """The environment of a frozen text: found, or built below `environments`. Two workers that ask at once build once.

    Raises:
        EnvironmentGoneError: a package cannot be had any more as it was recorded.
        EnvironmentBuildError: a package could not be fetched.
        EnvironmentDefinitionError: a package cannot be installed.
        DiskFullError: the environment does not fit on the disk.
    """
    identity = frozen.identity(text.encode())
    if found := known(environments, identity):
        return found
    path = environments.absolute() / identity[:32]
    with locked(path.with_suffix(".lock"), what=f"the environment {identity[:12]}", timeout=_LONGEST):
        if found := known(environments, identity):
            return found
        shutil.rmtree(path, ignore_errors=True)
        _install(text, path)
        (path / _COMPLETE).touch()
    return Environment(path, identity, path / _FROZEN)


def known(environments: Path, identity: str) -> Environment | None:
    """The environment of this identity, when it is installed: below `environments`, or below RETRAIN_ENVIRONMENTS, which came with the image."""
    for folder in _folders(environments):
        path = folder / identity[:32]
        there = all((path / name).exists() for name in (_COMPLETE, _FROZEN, "bin/python"))
        if there and frozen.identity((path / _FROZEN).read_bytes()) == identity:
            return Environment(path, identity, path / _FROZEN)
    return None


def frozen_of_recorded(lock: str, project: Path, environments: Path) -> str:
    """The frozen text of an `environment.lock` in the ledger: a frozen text, or what deployments recorded before: a uv.lock, or uv's own requirements.

    Args:
        lock: the content of `environment.lock`.
        project: the project folder in a checkout of the recorded commit, whose pyproject.toml a uv.lock belongs to.
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
        raise EnvironmentDefinitionError(f"The recorded environment cannot be made: {e} {uv.WITHOUT}") from e


def _remembered(name: str, environments: Path) -> str | None:
    for folder in _folders(environments):
        memory = folder / _RESOLVED / f"{name}.txt"
        if memory.is_file():
            return memory.read_bytes().decode()
    return None


def _folders(environments: Path) -> Iterator[Path]:
    shipped = os.environ.get("RETRAIN_ENVIRONMENTS")
    if shipped:
        yield Path(shipped).absolute()
    yield environments.absolute()


def _resolve(project: Path, check: str = "--locked") -> str:
    project = project.absolute()
    source = package_files.source(project)
    problem = f"The release's environment cannot be resolved from {project.name}/"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "emitted.txt"
        names = package_files.index_names(project)
        # Without any requirement, uv writes what this machine is configured with.
        (Path(folder) / "nothing.txt").touch()
        machine = _emitted(out, ["pip", "compile", *_PLAIN, "nothing.txt"], Path(folder), problem)
        if source.name == "uv.lock":
            export = [
                "export",
                check,
                "--no-default-groups",
                "--no-emit-project",
                *_PLAIN,
                "--project",
                str(project),
            ]
            text = frozen.canonical(_emitted(out, export, project, problem), machine, names)
        else:
            text = frozen.canonical(_emitted(out, _compile(source), project, problem), machine, names)
        frozen.refuse_local_and_secret(text, f"{project.name}/{source.name}")
        if frozen.unhashed(text):
            # A lock has the hashes of the index, which may have none: uv computes them.
            (Path(folder) / "unhashed.txt").write_text(text, "utf-8")
            text = frozen.canonical(
                _emitted(out, _compile(Path(folder) / "unhashed.txt"), project, problem), machine, names
            )
    if unhashed := frozen.unhashed(text):
        raise EnvironmentDefinitionError(
            f"{problem}: {', '.join(unhashed)} has no hash, and none could be computed. {_FIX}"
        )
    return text


def _compile(source: Path) -> list[str]:
    return [
        "pip", "compile", *_PLAIN, "--generate-hashes", "--emit-build-options", "--emit-index-annotation", "--python", sys.executable,
        str(source),
    ]  # fmt: skip


def _emitted(out: Path, arguments: list[str], project: Path, problem: str) -> str:
    # What a file has already, uv would prefer.
    out.unlink(missing_ok=True)
    done = uv.run(*arguments, "--output-file", out, cwd=project)
    if done.returncode != 0:
        raise uv.failure(done, problem, _FIX)
    return out.read_text("utf-8")


def _install(text: str, path: Path) -> None:
    problem = "The release's environment was not installed"
    # Not in a folder whose uv configuration would add to the frozen text.
    nowhere = Path(path.anchor)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = uv.run("venv", "--quiet", "--python", _python(text), path, cwd=nowhere)
    if done.returncode != 0:
        raise uv.failure(done, problem, _FIX)
    (path / _FROZEN).write_bytes(text.encode())
    # uv tells of an index that wants a login only where it stops at the first index that has a package. Asking all of them is as
    # safe: the hash decides which file is taken.
    for strategy in ("first-index", "unsafe-best-match"):
        done = _sync(text, path, strategy, nowhere)
        if done.returncode == 0:
            return
        gone = uv.gone(done, frozen.requirements(text))
        if gone is None or strategy == "unsafe-best-match":
            raise gone or uv.failure(done, problem, _FIX)


def _sync(text: str, path: Path, strategy: str, cwd: Path) -> Finished:
    return uv.run(
        "pip",
        "sync",
        "--allow-empty-requirements",
        "--compile-bytecode",
        "--index-strategy",
        strategy,
        *(part for index in frozen.named_indexes(text) for part in ("--index", index)),
        "--python",
        path / "bin" / "python",
        path / _FROZEN,
        cwd=cwd,
    )


def _python(text: str) -> str:
    version = frozen.python_of(text)
    if version == frozen.RUNNING:
        return sys.executable
    done = uv.run("python", "find", "--no-project", version, cwd=Path("/"))
    if done.returncode == 0 and done.lines:
        return done.lines[-1].strip()
    raise EnvironmentGoneError(
        f"The environment needs Python {version}, which is not on this machine; the deployment has {frozen.RUNNING}. "
        f"{uv.WITHOUT} "
        f"For the environment too, install Python {version}, then try again.",
        f"python {version}",
    )
