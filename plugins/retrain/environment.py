"""A release's own environment: built from its lock once, shared by all runs of that lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from retrain import process
from retrain.errors import ConfigurationError, DiskFullError, EnvironmentBuildError, EnvironmentLockError
from retrain.locks import locked

_BUILD_TIMEOUT = 1800.0
_COMPLETE = ".complete"
_NETWORK = (
    "dns error",
    "connection refused",
    "connection reset",
    "timed out",
    "network is unreachable",
    "failed to fetch",
    "could not connect",
    "request failed",
    "temporary failure",
)


@dataclass(frozen=True)
class Environment:
    """An installed environment. `lock_hash` is the SHA-256 of what it was built from; `lock` the frozen file itself."""

    path: Path
    lock_hash: str
    lock: Path

    @property
    def bin(self) -> Path:
        return self.path / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def identity(self) -> str:
        """What tells this environment from another one."""
        return self.lock_hash

    @property
    def has_dvc_on_s3(self) -> bool:
        """Whether DVC and its S3 remote are both installed."""
        return (self.bin / "dvc").is_file() and any(self.path.glob("lib/python*/site-packages/dvc_s3"))


def uv() -> Path:
    """The uv program: RETRAIN_UV, else the one on the PATH."""
    named = os.environ.get("RETRAIN_UV") or shutil.which("uv")
    if not named or not Path(named).is_file():
        raise ConfigurationError(f"uv is not at {named!r}. Set RETRAIN_UV to the program uv.")
    return Path(named)


def provide(project: Path, environments: Path) -> Environment:
    """The environment of `project`: the one that came with the worker's image, or is there already, else built below `environments`."""
    return known(environments, hash_of(project)) or build(project, environments)


def build(project: Path, environments: Path) -> Environment:
    """The environment of the project folder `project`, below `environments`.

    A `uv.lock` is installed as it is. A `requirements.txt`, or a `pyproject.toml` without a lock, is resolved once per content
    and the outcome frozen beside the environment. Two workers that ask at once build once.

    Raises:
        EnvironmentLockError: the folder describes no environment, or its lock does not fit.
        EnvironmentBuildError: a package could not be had.
        DiskFullError: the environment does not fit on the disk.
    """
    lock, pyproject, requirements = project / "uv.lock", project / "pyproject.toml", project / "requirements.txt"
    source = next((path for path in (lock, requirements, pyproject) if path.is_file()), None)
    if source is None:
        raise EnvironmentLockError(
            f"{project.name}/ of the release has neither uv.lock, requirements.txt nor pyproject.toml. "
            "Add one, or correct repository.environment in the pipeline's file."
        )
    digest = hash_of(project)
    path = environments / digest[:32]
    with locked(environments / f"{digest[:32]}.lock"):
        frozen = path / "uv.lock" if source == lock else path / "frozen-requirements.txt"
        if not (path / _COMPLETE).is_file():
            shutil.rmtree(path, ignore_errors=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            if source == lock:
                _uv(
                    [
                        "sync",
                        "--locked",
                        "--no-default-groups",
                        "--no-install-project",
                        "--compile-bytecode",
                        "--project",
                        project,
                    ],
                    project,
                    {"UV_PROJECT_ENVIRONMENT": str(path)},
                )
                shutil.copy(lock, frozen)
            else:
                _uv(["venv", "--quiet", "--python", sys.executable, path], project, {})
                _uv(
                    [
                        "pip",
                        "compile",
                        "--quiet",
                        "--generate-hashes",
                        "--python",
                        path / "bin" / "python",
                        "--output-file",
                        frozen,
                        source,
                    ],
                    project,
                    {},
                )
                _uv(
                    [
                        "pip",
                        "install",
                        "--require-hashes",
                        "--compile-bytecode",
                        "--python",
                        path / "bin" / "python",
                        "-r",
                        frozen,
                    ],
                    project,
                    {},
                )
            (path / _COMPLETE).touch()
    return Environment(path, digest, frozen)


def known(environments: Path, lock_hash: str) -> Environment | None:
    """The environment of this hash, when it is installed: below `environments`, or below RETRAIN_ENVIRONMENTS, which came with the image."""
    shipped = os.environ.get("RETRAIN_ENVIRONMENTS")
    for folder in (*([Path(shipped)] if shipped else []), environments):
        path = folder / lock_hash[:32]
        lock = next((path / name for name in ("uv.lock", "frozen-requirements.txt") if (path / name).is_file()), None)
        if lock and (path / _COMPLETE).is_file():
            return Environment(path, lock_hash, lock)
    return None


def hash_of(project: Path) -> str:
    """SHA-256 (hex) of what an environment is built from: Python's minor version and the files that describe packages."""
    digest = hashlib.sha256(f"{sys.version_info.major}.{sys.version_info.minor}\n".encode())
    for name in ("uv.lock", "pyproject.toml", "requirements.txt"):
        if (project / name).is_file():
            digest.update(f"{name}\n".encode())
            digest.update((project / name).read_bytes())
    return digest.hexdigest()


def _uv(arguments: list[str | Path], project: Path, extra: dict[str, str]) -> None:
    settings = {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", **extra}
    environment = process.environment(**settings)
    done = process.run([uv(), *arguments], cwd=project, env=environment, timeout=_BUILD_TIMEOUT)
    if done.returncode == 0:
        return
    output, last = done.output.lower(), " ".join(done.lines[-4:])
    if "no space left on device" in output:
        raise DiskFullError(
            f"The release's environment was not installed: {last} Free some space, then clear the task."
        )
    # A negative code is a signal's, so it says nothing about the lock.
    if any(word in output for word in _NETWORK) or done.timed_out or done.returncode < 0:
        raise EnvironmentBuildError(
            f"The release's environment was not installed: {last} Check the package index, then clear the task."
        )
    raise EnvironmentLockError(
        f"The release's environment cannot be built from {project.name}/: {last} Mend it in a new release."
    )
