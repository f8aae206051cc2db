"""Reads the tags of Git origins, and makes checkouts of their mirrors. Nothing writes to an origin."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from retrain.errors import NotAPipelineError, OriginError, UnknownTagError
from retrain.run.release import Release, check_tag
from retrain.work import git_program
from retrain.work.mirrors import fetched
from retrain.work.origin import Origin
from retrain.work.shallow_checkout import references

SUBMODULE = "160000"  # Git's mode of a submodule
_ARGUMENTS = 500  # paths that one call of Git gets
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def commit_of_tag(origin: Origin, tag: str, *, cwd: Path) -> str:
    """The commit (40 hex digits) that a tag of the origin names now. `cwd` is any folder.

    Raises:
        TagGrammarError: it is no name of a tag.
        UnknownTagError: the origin has no such tag.
        OriginError: the origin does not answer.
    """
    check_tag(tag)
    listing = git_program.read(
        "ls-remote", "--tags", "--", origin.url, f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}", cwd=cwd, origin=origin
    )
    lines = (line.split("\t", 1) for line in listing.splitlines() if "\trefs/tags/" in line)
    named = {reference: commit for commit, reference in lines}
    commit = named.get(f"refs/tags/{tag}^{{}}") or named.get(f"refs/tags/{tag}")
    if commit is None:
        raise UnknownTagError(f"The origin {origin} has no tag {tag}. Push the tag, or name one that exists.")
    return commit


def tags(origin: Origin, *, cwd: Path) -> list[str]:
    """The names of all tags of the origin.

    Raises:
        OriginError: the origin does not answer.
    """
    known = references(origin, cwd=cwd, timeout=git_program.TIMEOUT)
    return [name.removeprefix("refs/tags/") for name in known if name.startswith("refs/tags/")]


def mirror(origin: Origin, release: Release, mirrors: Path, *, folder: str = ".") -> Path:
    """Make sure that the origin's mirror below `mirrors` has the release's commit, and return it. It is fetched only if it is missing.

    `folder` is the folder of the pipeline in the repository. The release's tag need not exist: see `mirrors.fetched`.

    Raises:
        OriginError: the origin does not answer, does not have the commit, or does not hand it out.
        NotAPipelineError: the commit has no dvc.yaml there.
    """
    at = fetched(origin, release.commit, mirrors, tag=release.tag)
    require_pipeline(at, release.tag, release.commit, folder)
    return at


def require_pipeline(repository: Path, name: str, commit: str, folder: str = ".") -> None:
    """Make sure that a commit has a dvc.yaml. Which of several a run needs, DVC finds out.

    `name` is its tag or branch, for the error. `folder` is the pipeline's, where it is looked for first.

    Raises:
        NotAPipelineError: it has none.
    """
    # As good as every pipeline has one in its folder, and a whole listing takes a while.
    file = posixpath.normpath(posixpath.join(folder, "dvc.yaml"))
    if git_program.run("cat-file", "-e", f"{commit}:{file}", cwd=repository).returncode == 0:
        return
    listing = git_program.run("ls-tree", "-r", "--name-only", "-z", commit, cwd=repository).output
    if not any(posixpath.basename(path) == "dvc.yaml" for path in listing.split("\0")):
        raise NotAPipelineError(
            f"{name} ({commit}) has no dvc.yaml. Add one with dvc stage add, and release that commit."
        )


def commit_of_digits(repository: Path, digits: str) -> str | None:
    """The commit (40 hex digits) of a repository whose digits begin so; None if there is none, or several."""
    if not _COMMIT.fullmatch(digits):
        return None
    found = git_program.run("rev-parse", "--verify", "--quiet", f"{digits}^{{commit}}", cwd=repository)
    return found.output.strip() if found.returncode == 0 else None


def checkout(repository: Path, commit: str, to: Path, *, standalone: bool = False) -> None:
    """Make a detached checkout at `to`, which must not exist or be empty.

    It uses the mirror's objects, which is quick; with `standalone` they are copied, for a checkout that outlives the mirror. Its
    submodules are empty, and a file in Git LFS is the pointer that is in the commit: see `whole_checkout`.

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
    )
    git_program.read("checkout", "--quiet", "--detach", commit, cwd=to)
    # Git skips a file whose content it cannot read, and exits 0.
    absent = git_program.read("ls-files", "--deleted", cwd=to).splitlines()
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
        "diff",
        "--name-status",
        "--no-renames",
        before,
        after,
        cwd=repository,
    ).splitlines()


def committed_files(checkout: Path) -> dict[str, str]:
    """The files of a checkout's commit by path, with Git's mode: 100644 or 100755, 120000 for a link, 160000 for a submodule.

    The files of a submodule that is checked out are there too.

    Raises:
        OriginError: Git failed.
    """
    listing = git_program.read("ls-files", "--stage", "-z", cwd=checkout)
    entries = (entry.partition("\t") for entry in listing.split("\0") if "\t" in entry)
    files = {path: meta.split(" ", 1)[0] for meta, _, path in entries}
    for path in [path for path, mode in files.items() if mode == SUBMODULE and (checkout / path / ".git").exists()]:
        files |= {f"{path}/{inner}": mode for inner, mode in committed_files(checkout / path).items()}
    return files


def ignores_dvc_files(checkout: Path) -> bool:
    """True if a pattern of Git's ignores a committed dvc.yaml or .dvc file, or the dvc.lock beside one."""
    listing = git_program.run("ls-files", "-z", "--", "dvc.yaml", "**/dvc.yaml", "*.dvc", cwd=checkout).output
    files = [path for path in listing.split("\0") if path]
    files += [f"{path.removesuffix('.yaml')}.lock" for path in files if path.endswith(".yaml")]
    some = (files[start : start + _ARGUMENTS] for start in range(0, len(files), _ARGUMENTS))
    ask = ("check-ignore", "--no-index", "--")
    return any(git_program.run(*ask, *each, cwd=checkout).returncode == 0 for each in some)
