"""A bare Git origin of a team's, and the clone that its engineer works in."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from retrain.work.origin import Origin as GitOrigin


def isolated_git(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engineer without configuration, whatever the machine's user has."""
    home.mkdir()
    for name, value in {
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "engineer",
        "GIT_AUTHOR_EMAIL": "engineer@example.org",
        "GIT_COMMITTER_NAME": "engineer",
        "GIT_COMMITTER_EMAIL": "engineer@example.org",
    }.items():
        monkeypatch.setenv(name, value)


@dataclass(frozen=True)
class Origin:
    """A bare origin and its clone. `files` are the content of every release, by path, unless the release changes them."""

    path: Path
    clone: Path
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)

    @classmethod
    def create(
        cls, folder: Path, files: Mapping[str, str | bytes | None] | None = None, name: str = "origin"
    ) -> Origin:
        path, clone = folder / f"{name}.git", folder / f"clone of {name}"
        subprocess.run(["git", "init", "--bare", "--quiet", "--initial-branch=main", path], check=True)
        subprocess.run(["git", "clone", "--quiet", path, clone], check=True, capture_output=True)
        return cls(path, clone, files or {})

    @property
    def address(self) -> GitOrigin:
        return GitOrigin(str(self.path))

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.clone, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message: str, files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Commit the files with `files` changed, those of None removed; gives the commit."""
        for name, content in {**self.files, **(files or {})}.items():
            path = self.clone / name
            if content is None:
                path.unlink(missing_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def release(self, tag: str, files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Commit the files and push them under a tag; gives the commit."""
        commit = self.commit(tag, files)
        self.git("tag", tag)
        self.git("push", "--quiet", "origin", f"refs/tags/{tag}")
        return commit

    def push_branch(self) -> None:
        """Push the last commit as the branch `main`."""
        self.git("push", "--quiet", "origin", "HEAD:refs/heads/main")

    def refs(self) -> str:
        """Every reference of the origin, with what it names."""
        done = subprocess.run(["git", "for-each-ref"], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout
