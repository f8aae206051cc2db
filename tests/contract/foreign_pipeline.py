"""A small DVC pipeline of somebody else's in a real Git origin: three stages of plain Python and a configuration of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

DVC_YAML = """
stages:
  split:
    cmd: python split.py
    deps: [split.py, manifest.json]
    params:
      - run.yaml: [partition]
    outs: [data/parts]
  fit:
    cmd: python fit.py
    deps: [fit.py, data/parts]
    outs: [model.json]
  report:
    cmd: python report.py
    deps: [report.py, model.json]
    metrics: [reports/metrics.json]
"""
SPLIT = """
import pathlib
folder = pathlib.Path("data/parts/odd")
folder.mkdir(parents=True)
(folder.parent / "even.txt").write_text("0 2 4")
(folder / "odd.txt").write_text("1 3 5")
"""
FIT = """
import json, pathlib
numbers = [int(n) for f in sorted(pathlib.Path("data/parts").rglob("*.txt")) for n in f.read_text().split()]
pathlib.Path("model.json").write_text(json.dumps({"mean": sum(numbers) / len(numbers)}))
"""
REPORT = """
import json, pathlib
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("reports/metrics.json").write_text(json.dumps({"mean": json.loads(open("model.json").read())["mean"]}))
"""
# Everything in it would send our run elsewhere: another default remote, another cache, links instead of copies.
DVC_CONFIG = """
[core]
    remote = elsewhere
    autostage = true
[cache]
    dir = ../../elsewhere-cache
    type = symlink
['remote "elsewhere"']
    url = s3://somebody-elses-bucket/store
"""
# An environment of the release's own, with neither DVC nor anything else in it.
PYPROJECT = """
[project]
name = "foreign"
version = "1"
requires-python = ">=3.11"
[tool.uv]
package = false
"""
LOCK = """
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "foreign"
version = "1"
source = { virtual = "." }
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "split.py": SPLIT,
    "fit.py": FIT,
    "report.py": REPORT,
    ".dvc/config": DVC_CONFIG,
    ".gitignore": "/run.yaml\n/manifest.json\n",
    "pyproject.toml": PYPROJECT,
    "uv.lock": LOCK,
}


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
    """A bare origin and the clone that its engineer works in."""

    path: Path
    clone: Path

    @classmethod
    def create(cls, folder: Path) -> Origin:
        path, clone = folder / "origin.git", folder / "clone"
        subprocess.run(["git", "init", "--bare", "--quiet", path], check=True)
        subprocess.run(["git", "clone", "--quiet", path, clone], check=True, capture_output=True)
        return cls(path, clone)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.clone, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def release(self, tag: str, files: dict[str, str] | None = None) -> str:
        """Commit the pipeline with `files` changed, and push it under a tag; gives the commit."""
        for name, text in {**FILES, **(files or {})}.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", tag)
        self.git("tag", tag)
        self.git("push", "--quiet", "origin", f"refs/tags/{tag}")
        return self.git("rev-parse", "HEAD")

    def refs(self) -> str:
        """Every reference of the origin, with what it names."""
        done = subprocess.run(["git", "for-each-ref"], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout
