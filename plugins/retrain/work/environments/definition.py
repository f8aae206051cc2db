"""Where a release names its packages, with all that decides how they are resolved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from retrain.work.environments import frozen


@dataclass(frozen=True)
class PackageSettings:
    """The keys of a run's settings that decide how its packages are resolved, as `RunPackages` has them."""

    python: str | None = None
    lock: str | None = None
    as_of: str = "commit"
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuppliedLock:
    """A requirements file that replaces the release's own files. `sha256` (hex) is that of the content which a run was resolved with."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class EnvironmentDefinition:
    """The files of an environment, and the settings that decide how they are resolved.

    `checkout` is the top of the Git checkout; `folder` the folder, or the requirements file, in it that names the packages; `project`
    the folder of the DVC project in it. `committed` is the date of the commit; None for a folder that is no checkout.
    """

    checkout: Path
    folder: str = "."
    settings: PackageSettings = PackageSettings()
    project: str = "."
    supplied: SuppliedLock | None = None
    committed: datetime | None = None

    @property
    def place(self) -> Path:
        """The folder, or the requirements file, that names the packages."""
        return self.checkout / self.folder

    @property
    def name(self) -> str:
        """The folder as messages name it, with a slash at its end."""
        return f"{self.place.absolute().name}{'' if self.place.is_file() else '/'}"

    @property
    def python(self) -> str:
        """The minor version of Python."""
        return self.settings.python or frozen.RUNNING

    @property
    def limit(self) -> datetime | None:
        """The moment up to which packages must have been uploaded, unless their version is pinned; None if there is no limit."""
        as_of = self.settings.as_of
        if as_of == "commit":
            return self.committed
        if as_of == "today":
            return None
        return datetime.combine(date.fromisoformat(as_of) + timedelta(days=1), time(), UTC)


def of_folder(folder: Path) -> EnvironmentDefinition:
    """The definition of a folder that is no release, such as that of the deployment's own DVC."""
    return EnvironmentDefinition(folder)
