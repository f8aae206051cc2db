"""Mirrors of Git origins: bare repositories, one for each address, that all pipelines of that repository share."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from retrain.deployment.git_address import without_user
from retrain.errors import HousekeepingError, OriginError
from retrain.work import git_failure, git_program
from retrain.work.file_lock import locked
from retrain.work.origin import Origin
from retrain.work.process import Finished

_LEFT_SECONDS = 24 * 3600
_FETCH_SECONDS = 1800.0
# Git's own packing goes on in the background, after our lock is free.
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance")
_NO_SUCH_TAG = "couldn't find remote ref"
_LOCKS = ("*.lock", "refs/**/*.lock", "objects/info/**/*.lock", "objects/pack/*.lock")
_SHOWN = 60  # characters of the address in a mirror's name


def mirror_name(url: str) -> str:
    """The name of the folder with the mirror of an address: readable, and different for two addresses."""
    address = without_user(url)
    words = re.sub(r"[^A-Za-z0-9]+", "-", address.removesuffix(".git").rpartition("://")[2]).strip("-")
    shown = words if len(words) <= _SHOWN else words[-_SHOWN:].partition("-")[2]
    return f"{shown}-{hashlib.sha256(address.encode()).hexdigest()[:10]}.git"


def fetched(origin: Origin, commit: str, mirrors: Path, *, tag: str | None = None) -> Path:
    """Make sure that the origin's mirror below `mirrors` has a commit, and return the mirror. It is fetched only if it is missing.

    The commit is fetched by its tag if it still has that tag, else by its own digits, else with all branches and tags. A reference
    to it stays in the mirror.

    Raises:
        OriginError: the origin does not answer, does not have the commit, or does not hand it out.
        FileLockTimeoutError: another process has been fetching into the mirror for too long.
    """
    at = mirrors / mirror_name(origin.url)
    with _alone(at):
        _begin(at)
        if not has(at, commit):
            if tag is not None:
                _fetch_tag(origin, at, tag)
            if not has(at, commit):
                _fetch_commit(origin, at, commit)
        # Also if it is there already: it may have come with a branch, which moves on.
        git_program.read("update-ref", f"refs/kept/{commit}", commit, cwd=at)
    return at


def fetched_whole(origin: Origin, mirrors: Path) -> Path:
    """Fetch all branches and tags of an origin into its mirror below `mirrors`, and return the mirror.

    Raises:
        OriginError: the origin does not answer.
        FileLockTimeoutError: another process has been fetching into the mirror for too long.
    """
    at = mirrors / mirror_name(origin.url)
    with _alone(at):
        _begin(at)
        _require(_fetch_all(origin, at), origin)
    return at


def has(repository: Path, commit: str) -> bool:
    """True if a repository has a commit."""
    return git_program.run("cat-file", "-e", f"{commit}^{{commit}}", cwd=repository).returncode == 0


def _alone(mirror: Path) -> AbstractContextManager[None]:
    mirror.parent.mkdir(parents=True, exist_ok=True)
    return locked(mirror.with_suffix(".lock"))


def _begin(at: Path) -> None:
    _unlock(at)
    if not all((at / name).exists() for name in ("HEAD", "config", "objects")):  # none yet, or a killed Git's
        git_program.read("init", "--bare", "--quiet", "--template=", at, cwd=at.parent)
    os.utime(at / "HEAD")  # the housekeeping removes a mirror that nothing has used for long


def _unlock(mirror: Path) -> None:
    """Remove the locks that a killed Git has left, which would stop every later one. No other Git writes while we have our own lock."""
    for pattern in _LOCKS:
        for left in list(mirror.glob(pattern)):
            left.unlink()


def _fetch_tag(origin: Origin, at: Path, tag: str) -> None:
    """Fetch a tag, which may not exist: the release of an untagged commit has a label alone."""
    arguments = (*_FETCH, "--", origin.url, f"+refs/tags/{tag}:refs/tags/{tag}")
    done = git_program.run(*arguments, cwd=at, origin=origin, timeout=_FETCH_SECONDS)
    if done.returncode != 0 and _NO_SUCH_TAG not in done.output:
        raise git_failure.of_origin(origin, "git fetch", done, _FETCH_SECONDS)


def _fetch_commit(origin: Origin, at: Path, commit: str) -> None:
    asked = git_program.run(*_FETCH, "--", origin.url, commit, cwd=at, origin=origin, timeout=_FETCH_SECONDS)
    if asked.returncode == 0 and has(at, commit):
        return
    # Not every server hands out a commit by its digits.
    _require(_fetch_all(origin, at), origin)
    if not has(at, commit):
        raise OriginError(
            f"The origin {origin.described} no longer has the commit {commit}, or does not hand it out: no branch and no tag leads to it, "
            f"and asked for it alone, it said: {git_failure.reason(asked)}. Push a branch or a tag with that commit again."
        )


def _fetch_all(origin: Origin, at: Path) -> Finished:
    every = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    return git_program.run(*_FETCH, "--", origin.url, *every, cwd=at, origin=origin, timeout=_FETCH_SECONDS)


def _require(done: Finished, origin: Origin) -> None:
    if done.returncode != 0:
        raise git_failure.of_origin(origin, "git fetch", done, _FETCH_SECONDS)


def pack(mirror: Path) -> None:
    """Pack the objects of a mirror. None is removed, not even one that no tag leads to: a workspace may use it.

    What a killed Git has left half-written goes after a day: Git itself removes it only together with such objects.

    Raises:
        HousekeepingError: Git failed.
        FileLockTimeoutError: another process has been fetching into the mirror for too long.
        OSError: a file that is half-written cannot be removed.
    """
    with _alone(mirror):
        _unlock(mirror)
        for left in list(mirror.glob("objects/**/tmp_*")):
            with suppress(FileNotFoundError):  # it was in a folder of them
                if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        done = git_program.run("gc", "--quiet", "--prune=never", cwd=mirror)
    if done.returncode != 0:
        raise HousekeepingError(
            f"git gc in {mirror} failed ({git_failure.reason(done)}). Clear the task. If that does not help, remove that folder while "
            "no run of its repository is active: the next run fetches it again."
        )


def remove_unused(mirror: Path, before: float) -> bool:
    """Remove a mirror that nothing has used since `before` (seconds since the epoch); returns True if it was removed.

    It is fetched again when it is needed.

    Raises:
        OSError: a file cannot be removed.
    """
    with _alone(mirror):
        if (mirror / "HEAD").stat().st_mtime >= before:
            return False
        shutil.rmtree(mirror)
    return True
