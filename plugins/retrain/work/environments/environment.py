"""An installed environment, shared by all runs with the same frozen text."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import EnvironmentGoneError
from retrain.work.environments import definition, folders, frozen, local_project, pythons, resolution, uv
from retrain.work.environments.definition import EnvironmentDefinition
from retrain.work.environments.local_project import LocalProject
from retrain.work.file_lock import locked, try_locked
from retrain.work.process import Finished

_COMPLETE = ".complete"
_FROZEN = "frozen.txt"


@dataclass(frozen=True)
class Environment:
    """An installed environment. `frozen` is the file with its frozen text; `identity` is the SHA-256 (hex) of that file's bytes."""

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
    def local(self) -> tuple[LocalProject, ...]:
        """The packages that a run needs besides, each to be installed from its own checkout. None of them is in this folder."""
        return local_project.listed_in(self.frozen.read_text(encoding="utf-8"))

    @property
    def has_dvc_on_s3(self) -> bool:
        """True if DVC and its S3 remote are both installed. DVC 2 does not count: it refuses the configuration of a workspace."""
        parts = ("dvc_s3", "dvc-[3-9]*.dist-info")
        there = (any(self.path.glob(f"lib/python*/site-packages/{part}")) for part in parts)
        return (self.bin / "dvc").is_file() and all(there)


def provide(project: Path, environments: Path) -> Environment:
    """The environment of a folder that is no release, such as that of the deployment's own DVC: found, or built below `environments`.

    Raises:
        RetrainError: as for `resolution.resolve` and `install`.
    """
    return of_definition(definition.of_folder(project), environments)


def of_definition(defined: EnvironmentDefinition, environments: Path) -> Environment:
    """The environment of a release: found, or built below `environments`.

    Raises:
        RetrainError: as for `resolution.resolve` and `install`.
    """
    return install(resolution.resolve(defined, environments), environments)


def install(text: str, environments: Path) -> Environment:
    """The environment of a frozen text: found, or built below `environments`. Workers that ask at the same time build it once.

    Raises:
        EnvironmentGoneError: the package index no longer has a package as it was recorded.
        EnvironmentBuildError: a package could not be fetched.
        EnvironmentDefinitionError: a package cannot be installed.
        DiskFullError: the environment does not fit on the disk.
    """
    identity = frozen.identity(text.encode())
    if found := known(environments, identity):
        return found
    path = environments.absolute() / identity[:32]
    with locked(path.with_suffix(".lock"), what=f"the environment {identity[:12]}", timeout=uv.LONGEST):
        if found := known(environments, identity):
            return found
        shutil.rmtree(path, ignore_errors=True)
        _install(text, path)
        (path / _COMPLETE).touch()
    return Environment(path, identity, path / _FROZEN)


def known(environments: Path, identity: str) -> Environment | None:
    """The environment of this identity, if it is installed in a folder of `folders.searched`; else None.

    One below `environments` is noted as used.
    """
    for folder in folders.searched(environments):
        path = folder / identity[:32]
        there = all((path / name).exists() for name in (_COMPLETE, _FROZEN, "bin/python"))
        # Noted before it is read: from then on the housekeeping leaves it alone.
        if there and _noted(path, environments) and frozen.identity((path / _FROZEN).read_bytes()) == identity:
            return Environment(path, identity, path / _FROZEN)
    return None


def _noted(path: Path, environments: Path) -> bool:
    """Note that an environment is used now; returns False if it was removed meanwhile. The image's own are never removed."""
    return path.parent != environments.absolute() or folders.note_use(path / _COMPLETE)


def remove_unused(path: Path, before: float) -> bool:
    """Remove an installed environment, unless it was used since `before` (seconds since the epoch) or is being built.

    Returns True if it was removed. A worker that asks for it at the same moment either keeps it or builds it again.

    Raises:
        OSError: something in it cannot be removed.
    """
    with try_locked(path.with_suffix(".lock")) as acquired:
        if not acquired:
            return False
        complete, aside = path / _COMPLETE, path / ".removing"
        try:
            complete.rename(aside)  # from here on `known` does not find it
        except FileNotFoundError:
            aside = path  # it was not built to its end
        if aside.stat().st_mtime >= before:  # used after the caller has looked
            if aside != path:
                aside.rename(complete)
            return False
        shutil.rmtree(path)
        return True


def last_use(path: Path) -> float:
    """When an installed environment was last used, in seconds since the epoch; of one not built to its end, its last change."""
    complete = path / _COMPLETE
    return (complete if complete.exists() else path).stat().st_mtime


def _install(text: str, path: Path) -> None:
    problem = "The release's environment was not installed"
    # A folder without a uv configuration, which would add to the frozen text.
    nowhere = Path(path.anchor)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = uv.run("venv", "--quiet", "--python", _python(text), path, cwd=nowhere)
    if done.returncode != 0:
        raise uv.failure(done, problem, uv.FIX)
    (path / _FROZEN).write_bytes(text.encode())
    # uv reports an index that wants a login only when it stops at the first index that has a package. Asking all indexes is just
    # as safe, because the hash decides which file is taken.
    for strategy in ("first-index", "unsafe-best-match"):
        done = _sync(text, path, strategy, nowhere)
        if done.returncode == 0:
            return
        # uv asks the index again for what it has in its cache. The hashes say that the cached files are the right ones.
        if uv.could_not_connect(done) and _sync(text, path, strategy, nowhere, "--offline").returncode == 0:
            return
        gone = uv.gone(done, frozen.requirements(text))
        if gone is None or strategy == "unsafe-best-match":
            raise gone or uv.failure(done, problem, uv.FIX)


def _sync(text: str, path: Path, strategy: str, cwd: Path, *more: str) -> Finished:
    return uv.run(
        "pip",
        "sync",
        "--allow-empty-requirements",
        "--compile-bytecode",
        "--index-strategy",
        strategy,
        *more,
        *(part for index in frozen.named_indexes(text) for part in ("--index", index)),
        "--python",
        path / "bin" / "python",
        path / _FROZEN,
        cwd=cwd,
    )


def _python(text: str) -> Path:
    version = frozen.python_of(text)
    if found := pythons.find(version):
        return found.path
    raise EnvironmentGoneError(
        f"The environment needs Python {version}, which this machine does not have ({pythons.searched()}); the deployment has "
        f"{frozen.RUNNING}. {uv.WITHOUT} "
        f"To restore the environment too, install Python {version}, then try again.",
        f"python {version}",
    )
