"""The Pythons of this machine, by minor version."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment

from retrain.errors import EnvironmentBuildError
from retrain.work import process
from retrain.work.environments import frozen, uv
from retrain.work.environments.errors import PythonMissingError
from retrain.work.environments.python_versions import KNOWN

PLACES = "RETRAIN_PYTHONS"
_SECONDS = 60.0


@dataclass(frozen=True)
class Python:
    """A Python program. `version` is its minor version, `full` its whole one."""

    path: Path
    version: str
    full: str

    @property
    def markers(self) -> dict[str, str]:
        """The values of the variables of markers, such as `python_version`, for this Python on this machine."""
        ours = {name: str(value) for name, value in default_environment().items()}
        return {
            **ours,
            "python_version": self.version,
            "python_full_version": self.full,
            "implementation_version": self.full,
        }


def require(version: str) -> Python:
    """The Python of a minor version.

    Raises:
        PythonMissingError: this machine does not have it.
        EnvironmentBuildError: the program does not run.
    """
    if found := find(version):
        return found
    raise PythonMissingError(
        f"The pipeline's file asks for Python {version} (packages.python), which this machine does not have: {searched()}. "
        f"On each worker install it, such as with uv python install {version} or a package of the system, and name its folder in "
        f"{PLACES} if it is not on the PATH; or choose another version."
    )


def find(version: str) -> Python | None:
    """The Python of a minor version: our own, else one of RETRAIN_PYTHONS, else one that uv finds; None if there is none.

    Raises:
        EnvironmentBuildError: the program does not run.
    """
    if version == frozen.RUNNING:
        return Python(Path(sys.executable), version, ".".join(str(part) for part in sys.version_info[:3]))
    for program in _named(version):
        return Python(program, version, _full(program))
    done = uv.run("python", "find", "--no-project", version, cwd=Path("/"), quiet=True)
    if done.returncode != 0 or not done.lines:
        return None
    program = Path(done.lines[-1].strip())
    return Python(program, version, _full(program))


def available() -> list[str]:
    """The minor versions of `KNOWN` that this machine has."""
    return [version for version in KNOWN if find(version)]


def searched() -> str:
    """Where Pythons are looked for, for messages."""
    named = os.environ.get(PLACES)
    return f"searched {PLACES} ({named or 'not set'}), the PATH and the Pythons of uv"


def _named(version: str) -> Iterator[Path]:
    """The programs of a minor version in the places of RETRAIN_PYTHONS: folders of installations or of programs."""
    for pattern in filter(None, os.environ.get(PLACES, "").split(os.pathsep)):
        # Of several patch releases the newest: 3.12.10 after 3.12.9.
        for place in sorted(glob.glob(str(Path(pattern).expanduser())), key=_by_number, reverse=True):  # noqa: PTH207 - absolute patterns
            for name in (f"bin/python{version}", f"python{version}", "."):
                program = Path(place) / name
                if program.name == f"python{version}" and program.is_file() and os.access(program, os.X_OK):
                    yield program


def _by_number(path: str) -> list[tuple[int, str]]:
    digits = "".join(c if c.isdigit() else " " for c in path).split()
    return [(int(part), part) for part in digits]


def _full(program: Path) -> str:
    asked: list[str | Path] = [program, "-I", "-c", "import platform; print(platform.python_version())"]
    done = process.run(asked, cwd=Path("/"), env=process.environment(), timeout=_SECONDS, quiet=True)
    if done.returncode != 0 or not done.lines:
        said = done.lines[-1] if done.lines else "no output"
        raise EnvironmentBuildError(f"{program} does not run ({said}). Install that Python again, then clear the task.")
    return done.lines[-1].strip()
