"""Another team's DVC repository: other stages in other places, a remote and an environment that are not ours, no model."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

FILES = {
    "dvc.yaml": """
stages:
  count:
    cmd: python count.py
    deps: [count.py, manifest.json]
    params:
      - run.yaml: [partition]
    outs: [counted]
  summarize:
    wdir: analysis
    cmd: python summarize.py
    deps: [summarize.py, ../counted]
    params:
      - ../params.yaml: [summarize]
    outs: [days.txt]
    metrics:
      - totals.yaml: {cache: false}
""",
    "params.yaml": """
summarize:
  unit: 1
  limits: {at_least_days: 2}
""",
    "count.py": """
import json, pathlib

days = {}
for entry in json.loads(pathlib.Path("manifest.json").read_text())["objects"]:
    days.setdefault(entry["key"].split("/")[0].removeprefix("dt="), []).append(entry["size"])
pathlib.Path("counted").mkdir()
for day, sizes in days.items():
    pathlib.Path("counted", f"{day}.json").write_text(json.dumps({"objects": len(sizes), "bytes": sum(sizes)}))
""",
    "analysis/summarize.py": """
import json, pathlib
import humanize  # in this repository's requirements.txt, and in no environment of the deployment

days = {path.stem: json.loads(path.read_text()) for path in sorted(pathlib.Path("../counted").iterdir())}
lines = [f"{day} {humanize.naturalsize(found['bytes'])}\\n" for day, found in days.items()]
pathlib.Path("days.txt").write_text("".join(lines))
total = sum(found["bytes"] for found in days.values())
pathlib.Path("totals.yaml").write_text(f"days: {len(days)}\\nbytes: {{total: {total}, most@day: {max(f['bytes'] for f in days.values())}}}\\n")
""",
    "requirements.txt": "humanize==4.12.3\n",
    ".dvc/config": """
[core]
    remote = theirs
['remote "theirs"']
    url = s3://another-teams-bucket/dvc
    endpointurl = http://127.0.0.1:9
""",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/counted\n/run.yaml\n/manifest.json\n",
    "analysis/.gitignore": "/days.txt\n",
}
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
