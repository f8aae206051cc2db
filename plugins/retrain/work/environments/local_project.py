"""The packages of an environment whose code is in the repository itself, so that each run installs them from its own checkout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r"^# (local|own) (.+)$", re.MULTILINE)


@dataclass(frozen=True, order=True)
class LocalProject:
    """A package that is installed from the Git checkout, for one run only and without its dependencies, which are in the frozen text.

    `path` is relative to the top of the checkout, with slashes: the folder of a project, `.` for the top itself, or the file of a
    wheel or of a source distribution. `required` is False for the release's own project if its files do not ask to install it,
    such as a setup.py beside a requirements.txt without `-e .`: a run must not fail because it cannot be built.
    """

    path: str
    required: bool = True

    @property
    def line(self) -> str:
        """The comment that lists it in a frozen text."""
        return f"# {'local' if self.required else 'own'} {self.path}"


def listed_in(text: str) -> tuple[LocalProject, ...]:
    """The local projects that a frozen text lists, sorted by path."""
    return tuple(sorted(LocalProject(path, kind == "local") for kind, path in _LINE.findall(text)))


def lines(projects: Iterable[LocalProject]) -> list[str]:
    """The comments that list local projects in a frozen text, each once, sorted by path."""
    return [each.line for each in sorted(set(projects))]
