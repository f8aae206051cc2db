"""One commit of an origin, fetched without its history, and the references of an origin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrain.errors import OriginError
from retrain.work import git_failure, git_program, process
from retrain.work.origin import Origin
from retrain.work.size_limit import SizeLimit


@dataclass(frozen=True)
class TreeEntry:
    """A file of a commit. `mode` is Git's: 120000 is a symbolic link, 160000 a submodule, which has no `size` (bytes)."""

    path: str
    mode: str
    size: int | None


def references(origin: Origin, *, cwd: Path, timeout: float) -> dict[str, str]:
    """The commits of an origin's references by full name: HEAD, refs/heads/..., refs/tags/... An annotated tag names its commit.

    Raises:
        OriginRefusedError: the origin refuses the credentials.
        OriginError: the origin does not exist, or does not answer within `timeout` seconds.
    """
    found: dict[str, str] = {}

    def take(line: str) -> None:
        commit, tab, name = line.rstrip("\n").partition("\t")
        if tab and (name == "HEAD" or name.startswith(("refs/heads/", "refs/tags/"))):
            found[name] = commit

    done = git_program.run("ls-remote", "--", origin.url, cwd=cwd, origin=origin, timeout=timeout, each_line=take)
    _require(done, origin, "git ls-remote", timeout)
    peeled = {name.removesuffix("^{}"): commit for name, commit in found.items() if name.endswith("^{}")}
    return {**{name: commit for name, commit in found.items() if not name.endswith("^{}")}, **peeled}


def shallow_checkout(
    origin: Origin, wanted: str, commit: str, to: Path, *, timeout: float, most_bytes: int
) -> list[TreeEntry]:
    """Check out one commit without its history in the new folder `to`; returns its files, symbolic links and submodules.

    Hooks and filters do not run, submodules are not fetched, and a file in Git LFS stays a pointer. `wanted` is a full reference or
    a commit that leads to `commit`. `timeout` is in seconds, for the fetch.

    Raises:
        OriginRefusedError: the origin refuses the credentials.
        OriginError: the origin does not have it, it took too long, or objects or files take more than `most_bytes`.
    """
    git_program.read("init", "--quiet", "--template=", to, cwd=to.parent)
    limit = SizeLimit(to / ".git" / "objects", most_bytes)
    fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", origin.url, wanted)
    done = git_program.run(*fetch, cwd=to, origin=origin, timeout=timeout, each_sample=limit)
    if not limit.exceeded:
        _require(done, origin, f"git fetch {wanted}", timeout)
    found: list[TreeEntry] = []

    def take(line: str) -> None:
        about, _, path = line.rstrip("\n").partition("\t")
        mode, _, _, size = about.split()
        found.append(TreeEntry(path, mode, int(size) if size.isdigit() else None))

    listing = ("-c", "core.quotePath=false", "ls-tree", "-r", "-l", "--full-tree", commit)
    if not limit.exceeded:
        done = git_program.run(*listing, cwd=to, each_line=take)
        _require(done, origin, f"git ls-tree {commit}", git_program.TIMEOUT)
    if limit.exceeded or sum(entry.size or 0 for entry in found) > most_bytes:
        raise OriginError(
            f"{wanted} of {origin} is larger than {most_bytes // 10**6} MB. Take large files out of Git, such as with dvc add."
        )
    git_program.read("checkout", "--quiet", "--detach", commit, cwd=to)
    return found


def _require(done: process.Finished, origin: Origin, action: str, timeout: float) -> None:
    if done.timed_out or done.returncode != 0:
        raise git_failure.of_origin(origin, action, done, timeout)
