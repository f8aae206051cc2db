"""A repository at one commit: its references, its files, and the texts of the small ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

T = TypeVar("T")
SUBMODULE = "160000"
_POINTER = "version https://git-lfs.github.com/spec/v1"
# Installed packages and tools that somebody committed: their code is not the repository's.
VENDORED = ("site-packages", "node_modules", ".venv", "venv", "env", ".tox", "__pycache__", ".git", "mlruns")


@dataclass(frozen=True)
class Snapshot:
    """One commit. `url` is the origin; `reference` is the name that was asked for; `tags` are all tags of the origin, `own_tags` those
    that name this commit.

    `sizes` has the bytes of each file by path; `modes` has Git's modes. `texts` has the content of small text files.
    """

    url: str
    reference: str
    commit: str
    tags: tuple[str, ...] = ()
    own_tags: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> frozenset[str]:
        """All files, links and submodules."""
        return frozenset(self.modes)

    @property
    def submodules(self) -> list[str]:
        """The folders that are submodules."""
        return sorted(path for path, mode in self.modes.items() if mode == SUBMODULE)

    def has(self, path: str) -> bool:
        """True if the path is a file, or a folder with a file in it."""
        bare = path.rstrip("/")
        return bare in self.modes or any(each.startswith(f"{bare}/") for each in self.modes)

    def named(self, *names: str) -> list[str]:
        """The paths of files with one of these names, those nearest to the top first."""
        found = [path for path in self.modes if path.rpartition("/")[2] in names]
        return sorted(found, key=lambda path: (path.count("/"), path))

    def below(self, folder: str) -> Snapshot:
        """The files in a folder, with their paths below it; `.` is the top."""
        if folder == ".":
            return self
        return replace(
            self, sizes=_below(folder, self.sizes), modes=_below(folder, self.modes), texts=_below(folder, self.texts)
        )

    def python(self) -> dict[str, str]:
        """The texts of all Python files."""
        return {path: text for path, text in self.texts.items() if path.endswith(".py")}


def is_vendored(path: str) -> bool:
    """True if a path lies in a folder of installed packages."""
    return any(part in VENDORED for part in path.split("/")[:-1])


def is_pointer(text: str) -> bool:
    """True if a file's text is a pointer of Git LFS."""
    return text.startswith(_POINTER)


def _below(folder: str, values: Mapping[str, T]) -> dict[str, T]:
    return {path.removeprefix(f"{folder}/"): each for path, each in values.items() if path.startswith(f"{folder}/")}
