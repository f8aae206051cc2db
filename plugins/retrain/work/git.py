"""Reads Git origins, and makes mirrors and checkouts. Nothing writes to an origin."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import HousekeepingError, NotAPipelineError, OriginError, UnknownTagError
from retrain.run.release import Release, check_tag
from retrain.work import git_program, process
from retrain.work.file_lock import locked
from retrain.work.size_limit import SizeLimit

_LEFT_SECONDS = 24 * 3600
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def commit_of_tag(origin: str, tag: str, *, cwd: Path) -> str:
    """The commit (40 hex digits) that a tag of the origin names now. `cwd` is any folder.

    Raises:
        TagGrammarError: the tag is not vX.Y.Z.
        UnknownTagError: the origin has no such tag.
        OriginError: the origin does not answer.
    """
    check_tag(tag)
    listing = git_program.read(
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
    listing = git_program.read("ls-remote", "--tags", "--refs", origin, cwd=cwd, origin=origin, remote=True)
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
            git_program.read("init", "--bare", "--quiet", "--template=", at, cwd=at.parent, origin=origin)
        if not _has(at, release.commit):
            git_program.read(
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
    require_pipeline(at, release.tag, release.commit)
    return at


def require_pipeline(repository: Path, name: str, commit: str) -> None:
    """Make sure that a commit has a dvc.yaml at its top. `name` is its tag or branch, for the error.

    Raises:
        NotAPipelineError: it has none.
    """
    if git_program.run("cat-file", "-e", f"{commit}:dvc.yaml", cwd=repository).returncode != 0:
        raise NotAPipelineError(f"{name} ({commit}) has no dvc.yaml at its top. Release a commit that has one.")


def clone(origin: str, at: Path, *, known: Path) -> None:
    """Make a bare clone with all branches and tags of the origin. Objects that the mirror `known` has are read there.

    Raises:
        OriginError: the origin does not answer.
    """
    settings = ("--bare", "--quiet", "--template=", "--reference-if-able", known)
    git_program.read("clone", *settings, "--", origin, at, cwd=at.parent, origin=origin, remote=True)


def commit_named(repository: Path, name: str) -> str | None:
    """The commit (40 hex digits) of a tag, else of a branch, else the one whose digits begin so; None if there is none."""
    named = [f"refs/tags/{name}", f"refs/heads/{name}", *([name] if _COMMIT.fullmatch(name) else [])]
    for each in named:
        found = git_program.run("rev-parse", "--verify", "--quiet", f"{each}^{{commit}}", cwd=repository)
        if found.returncode == 0:
            return found.output.strip()
    return None


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
        done = git_program.run("gc", "--quiet", "--prune=never", cwd=mirror)
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
    return git_program.run("cat-file", "-e", f"{commit}^{{commit}}", cwd=repository).returncode == 0


def checkout(repository: Path, commit: str, to: Path, *, standalone: bool = False) -> None:
    """Make a detached checkout at `to`, which must not exist or be empty.

    It uses the mirror's objects, which is quick; with `standalone` they are copied, for a checkout that outlives the mirror. A
    file with a filter, such as one in Git LFS, stays the pointer that is in the commit.

    Raises:
        OriginError: Git failed, or the mirror has lost the content of a file.
    """
    git_program.read(
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
    git_program.read("checkout", "--quiet", "--detach", commit, cwd=to, origin=str(repository))
    # Git skips a file whose content it cannot read, and exits 0.
    absent = git_program.read("ls-files", "--deleted", cwd=to, origin=str(repository)).splitlines()
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
    return git_program.read(
        "diff", "--name-status", "--no-renames", before, after, cwd=repository, origin=str(repository)
    ).splitlines()


def committed_files(checkout: Path) -> dict[str, str]:
    """The files of a checkout's commit by path, with Git's mode: 100644 or 100755, 120000 for a link, 160000 for a submodule.

    Raises:
        OriginError: Git failed.
    """
    listing = git_program.read("ls-files", "--stage", "-z", cwd=checkout, origin=str(checkout))
    entries = (entry.partition("\t") for entry in listing.split("\0") if "\t" in entry)
    return {path: meta.split(" ", 1)[0] for meta, _, path in entries}


@dataclass(frozen=True)
class TreeEntry:
    """A file of a commit. `mode` is Git's: 120000 is a symbolic link, 160000 a submodule, which has no `size` (bytes)."""

    path: str
    mode: str
    size: int | None


def references(origin: str, *, cwd: Path, timeout: float) -> dict[str, str]:
    """The commits of an origin's references by full name: HEAD, refs/heads/..., refs/tags/... An annotated tag names its commit.

    Raises:
        OriginError: the origin does not exist, or does not answer within `timeout` seconds.
    """
    found: dict[str, str] = {}

    def take(line: str) -> None:
        commit, tab, name = line.rstrip("\n").partition("\t")
        if tab and (name == "HEAD" or name.startswith(("refs/heads/", "refs/tags/"))):
            found[name] = commit

    done = git_program.run("ls-remote", "--", origin, cwd=cwd, remote=True, timeout=timeout, each_line=take)
    _require(done, f"{origin} cannot be read", timeout)
    peeled = {name.removesuffix("^{}"): commit for name, commit in found.items() if name.endswith("^{}")}
    return {**{name: commit for name, commit in found.items() if not name.endswith("^{}")}, **peeled}


def shallow_checkout(
    origin: str, wanted: str, commit: str, to: Path, *, timeout: float, most_bytes: int
) -> list[TreeEntry]:
    """Check out one commit without its history in the new folder `to`; returns its files, symbolic links and submodules.

    Hooks and filters do not run, submodules are not fetched, and a file in Git LFS stays a pointer. `wanted` is a full reference or
    a commit that leads to `commit`. `timeout` is in seconds, for the fetch.

    Raises:
        OriginError: the origin does not have it, it took too long, or objects or files take more than `most_bytes`.
    """
    git_program.read("init", "--quiet", "--template=", to, cwd=to.parent, origin=origin)
    limit = SizeLimit(to / ".git" / "objects", most_bytes)
    fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", origin, wanted)
    done = git_program.run(*fetch, cwd=to, remote=True, timeout=timeout, each_sample=limit)
    if not limit.exceeded:
        _require(done, f"{wanted} of {origin} cannot be fetched", timeout)
    found: list[TreeEntry] = []

    def take(line: str) -> None:
        about, _, path = line.rstrip("\n").partition("\t")
        mode, _, _, size = about.split()
        found.append(TreeEntry(path, mode, int(size) if size.isdigit() else None))

    listing = ("-c", "core.quotePath=false", "ls-tree", "-r", "-l", "--full-tree", commit)
    if not limit.exceeded:
        _require(git_program.run(*listing, cwd=to, each_line=take), f"{commit} cannot be listed", git_program.TIMEOUT)
    if limit.exceeded or sum(entry.size or 0 for entry in found) > most_bytes:
        raise OriginError(
            f"{wanted} of {origin} is larger than {most_bytes // 10**6} MB. Take large files out of Git, such as with dvc add."
        )
    git_program.read("checkout", "--quiet", "--detach", commit, cwd=to, origin=origin)
    return found


def _require(done: process.Finished, problem: str, timeout: float) -> None:
    if done.timed_out:
        raise OriginError(
            f"{problem}: Git did not end within {timeout:.0f} seconds. Check the network, then try again."
        )
    if done.returncode != 0:
        said = [line for line in done.lines if "fatal: " in line or line.startswith(("ERROR: ", "error: ", "ssh: "))]
        why = (said or done.lines or [f"Git ended with {done.returncode}"])[0]
        raise OriginError(f"{problem} ({why}). Check the address, and that this machine may read it.")
