"""Runs Git: reads the origin and makes checkouts. No other module does, and nothing writes to the origin."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from retrain.errors import HousekeepingError, NotAPipelineError, OriginError, UnknownTagError
from retrain.run.release import Release, check_tag
from retrain.work import process
from retrain.work.file_lock import locked

_TIMEOUT = 300.0
_LEFT_SECONDS = 24 * 3600
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ADVICE": "0", "LC_ALL": "C"}
# The machine's configuration may have the credentials of the origin: a credential helper, a rewritten address, a proxy, a key.
_ACCESS = ("GIT_SSH", "GIT_ASKPASS", "GIT_CONFIG_", "GIT_SSL_", "GIT_HTTP_", "GIT_PROXY_")
# Filters, attributes, hooks and line endings of the machine must not change a checkout: it is exactly the commit.
_ISOLATION = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
_SETTINGS = ("-c", "core.hooksPath=/dev/null", "-c", "core.attributesFile=/dev/null", "-c", "safe.directory=*")


def _git(*arguments: str | Path, cwd: Path, remote: bool = False) -> process.Finished:
    """Run Git. It reads the machine's configuration only with `remote`: to talk to the origin, never for a checkout."""
    kept = {
        k: v for k, v in process.environment().items() if not k.startswith("GIT_") or (remote and k.startswith(_ACCESS))
    }
    environment = {**kept, **_ENVIRONMENT, **({} if remote else _ISOLATION)}
    return process.run(["git", *_SETTINGS, *arguments], cwd=cwd, env=environment, timeout=_TIMEOUT, quiet=True)


def _read(*arguments: str | Path, cwd: Path, origin: str, remote: bool = False) -> str:
    done = _git(*arguments, cwd=cwd, remote=remote)
    if done.returncode != 0:
        last = done.lines[-1] if done.lines else "no output"
        raise OriginError(
            f"git {arguments[0]} on {origin} failed ({last}). Check that the origin answers and that its key is valid, "
            "then clear the task."
        )
    return done.output


def commit_of_tag(origin: str, tag: str, *, cwd: Path) -> str:
    """The commit (40 hex digits) that a tag of the origin names now. `cwd` is any folder.

    Raises:
        TagGrammarError: the tag is not vX.Y.Z.
        UnknownTagError: the origin has no such tag.
        OriginError: the origin does not answer.
    """
    check_tag(tag)
    listing = _read(
        "ls-remote", "--tags", origin, f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}", cwd=cwd, origin=origin, remote=True
    )
    lines = (line.split("\t", 1) for line in listing.splitlines() if "\trefs/tags/" in line)
    named = {reference: commit for commit, reference in lines}
    commit = named.get(f"refs/tags/{tag}^{{}}") or named.get(f"refs/tags/{tag}")
    if commit is None:
        raise UnknownTagError(f"The origin {origin} has no tag {tag}. Push the tag, or name one that exists.")
    return commit


def tags(origin: str, *, cwd: Path) -> list[str]:
    """The names of all tags of the origin.

    Raises:
        OriginError: the origin does not answer.
    """
    listing = _read("ls-remote", "--tags", "--refs", origin, cwd=cwd, origin=origin, remote=True)
    return [line.rpartition("refs/tags/")[2] for line in listing.splitlines() if "\trefs/tags/" in line]


def mirror(origin: str, release: Release, at: Path) -> Path:
    """Make sure that the bare clone at `at` has the release's commit, and return `at`. It is fetched only if it is missing.

    Raises:
        OriginError: the origin does not answer, or does not have the commit.
        NotAPipelineError: the commit has no dvc.yaml.
    """
    at.parent.mkdir(parents=True, exist_ok=True)
    with locked(at.with_suffix(".lock")):
        if not (at / "HEAD").is_file():
            _read("init", "--bare", "--quiet", "--template=", at, cwd=at.parent, origin=origin)
        if not _has(at, release.commit):
            _read(
                "fetch",
                "--quiet",
                "--no-tags",
                origin,
                f"+refs/tags/{release.tag}:refs/tags/{release.tag}",
                cwd=at,
                origin=origin,
                remote=True,
            )
        if not _has(at, release.commit):
            raise OriginError(
                f"The origin {origin} no longer has {release.commit}, the commit of {release.tag}. Push that commit again."
            )
    if _git("cat-file", "-e", f"{release.commit}:dvc.yaml", cwd=at).returncode != 0:
        raise NotAPipelineError(
            f"{release.tag} ({release.commit}) has no dvc.yaml at its top. Release a commit that has one."
        )
    return at


def pack(mirror: Path) -> None:
    """Pack the objects of a mirror. None is removed, not even one that no tag leads to: a workspace may use it.

    What a killed Git has left half-written goes after a day: Git itself removes it only together with such objects.

    Raises:
        HousekeepingError: Git failed.
        FileLockTimeoutError: another process has been fetching into the mirror for too long.
        OSError: a file that is half-written cannot be removed.
    """
    with locked(mirror.with_suffix(".lock")):
        for left in list(mirror.glob("objects/**/tmp_*")):
            with suppress(FileNotFoundError):  # it was in a folder of them
                if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        done = _git("gc", "--quiet", "--prune=never", cwd=mirror)
    if done.returncode != 0:
        last = done.lines[-1] if done.lines else "no output"
        raise HousekeepingError(
            f"git gc in {mirror} failed ({last}). Clear the task. If that does not help, remove that folder while no run of its "
            "pipeline is active: the next run fetches it again."
        )


def remove_mirror(mirror: Path) -> None:
    """Remove a mirror, which is fetched again when it is needed.

    Raises:
        OSError: a file cannot be removed.
    """
    with locked(mirror.with_suffix(".lock")):
        shutil.rmtree(mirror)


def _has(repository: Path, commit: str) -> bool:
    return _git("cat-file", "-e", f"{commit}^{{commit}}", cwd=repository).returncode == 0


def checkout(repository: Path, commit: str, to: Path, *, standalone: bool = False) -> None:
    """Make a detached checkout at `to`, which must not exist or be empty.

    It uses the mirror's objects, which is quick; with `standalone` they are copied, for a checkout that outlives the mirror. A
    file with a filter, such as one in Git LFS, stays the pointer that is in the commit.

    Raises:
        OriginError: Git failed, or the mirror has lost the content of a file.
    """
    _read(
        "clone",
        "--quiet",
        "--no-hardlinks" if standalone else "--shared",
        "--no-checkout",
        "--no-tags",
        "--template=",
        repository,
        to,
        cwd=repository,
        origin=str(repository),
    )
    _read("checkout", "--quiet", "--detach", commit, cwd=to, origin=str(repository))
    # Git skips a file whose content it cannot read, and exits 0.
    absent = _read("ls-files", "--deleted", cwd=to, origin=str(repository)).splitlines()
    if absent:
        raise OriginError(
            f"The mirror {repository} has lost the content of {absent[0]} ({len(absent)} files in all). "
            "Remove that folder, then clear the task, which fetches it again."
        )


def changed_files(repository: Path, before: str, after: str) -> list[str]:
    """The files that differ between two commits, as lines of Git's letter (A, M or D), a tab and the path.

    Raises:
        OriginError: the mirror does not have one of the commits.
    """
    return _read(
        "diff", "--name-status", "--no-renames", before, after, cwd=repository, origin=str(repository)
    ).splitlines()
