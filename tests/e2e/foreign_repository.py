"""Another team's DVC repository: other stages in other places, a remote and an environment that are not ours, no model."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

_SHAPE = Path(__file__).resolve().parents[1] / "adoption" / "shapes" / "manifest_reader" / "repository"
FILES = {str(path.relative_to(_SHAPE)): path.read_text() for path in sorted(_SHAPE.rglob("*")) if path.is_file()}
_ISOLATED = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Another Team"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "team@example.org"),
}


@dataclass(frozen=True)
class ForeignOrigin:
    """The team's bare repository: v0.0.1 has no dvc.yaml yet, v0.1.0 (an annotated tag) has. `begun_with` are its first references."""

    path: Path
    begun_with: str = ""

    def git(self, *arguments: str) -> str:
        return git(f"--git-dir={self.path}", *arguments)

    def references(self) -> str:
        """Every reference with its object."""
        return self.git("for-each-ref", "--format=%(refname) %(objectname)")


def make_origin(folder: Path) -> ForeignOrigin:
    work, origin = folder / "work", folder / "origin.git"
    git("init", "--quiet", "--initial-branch=trunk", str(work))
    commit(work, {"README.md": "Sizes of what visitors sent.\n"}, "Begin")
    git("-C", str(work), "tag", "v0.0.1")
    commit(work, FILES, "Count and summarize")
    git("-C", str(work), "tag", "--annotate", "--message=first", "v0.1.0")
    git("clone", "--quiet", "--bare", str(work), str(origin))
    made = ForeignOrigin(origin)
    return replace(made, begun_with=made.references())


def commit(work: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text.lstrip("\n"))
    git("-C", str(work), "add", "--all")
    git("-C", str(work), "commit", "--quiet", f"--message={message}")


def git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, env={**os.environ, **_ISOLATED}, capture_output=True, text=True, check=True)
    return done.stdout.strip()
