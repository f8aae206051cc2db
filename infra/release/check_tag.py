"""Check that the tag that started the workflow may be released: vX.Y.Z, on main. Reads GITHUB_REF and GITHUB_SHA."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from retrain_release import RELEASE

ROOT = Path(__file__).resolve().parents[2]
# Packages that migrate their database when they start -> the lock that has their version.
_MIGRATING = {"apache-airflow": "uv.lock", "mlflow": "infra/docker/mlflow/uv.lock"}
_CHANGES = (
    "{tag} changes {name} from {old} to {new}. Its database is migrated, and an older {name} does not run on a newer database: "
    "the automatic return to {before} will not work. Copy the database first."
)


class TagError(Exception):
    """The tag may not be released; the message says why."""


def check(environ: Mapping[str, str], root: Path, main: str = "origin/main") -> list[str]:
    """Warnings about a release that may go on.

    Raises:
        TagError: not a release's tag, not on main, moved while the workflow was waiting, or Git failed.
    """
    reference, commit = environ["GITHUB_REF"], environ["GITHUB_SHA"]
    kind, _, tag = reference.rpartition("/")
    if kind != "refs/tags" or not RELEASE.fullmatch(tag):
        raise TagError(f"{reference} is no release. Push a tag vX.Y.Z, or start this workflow on one.")
    if (now := _git(root, "rev-parse", f"{reference}^{{commit}}")) != commit:
        raise TagError(
            f"{tag} has moved: this run was started for {commit}, the tag is at {now}. Release the commit under a new tag."
        )
    if subprocess.run(["git", "-C", str(root), "merge-base", "--is-ancestor", commit, main], check=False).returncode:
        raise TagError(f"{tag} ({commit}) is not on main, so it was not reviewed. Merge it first, then tag main.")
    earlier = _git(root, "tag", "--merged", f"{commit}^", "--sort=-v:refname", "--list", "v*").splitlines()
    before = next((name for name in earlier if RELEASE.fullmatch(name)), None)
    if before is None:
        return [f"{tag} is the first release on this line."]
    warnings = []
    for name, lock in _MIGRATING.items():
        old, new = (_version(name, _git(root, "show", f"{at}:{lock}")) for at in (before, commit))
        if old != new:
            warnings.append(_CHANGES.format(tag=tag, name=name, before=before, old=old, new=new))
    return warnings


def _version(name: str, lock: str) -> str:
    return next(str(p["version"]) for p in tomllib.loads(lock)["package"] if p["name"] == name)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TagError(f"git {' '.join(arguments)} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    try:
        for line in check(os.environ, ROOT):
            print(f"::warning::{line}")
    except (TagError, KeyError) as error:
        print(f"::error::{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
