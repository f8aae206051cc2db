"""Commits of an origin that are named by their digits, without a tag."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from retrain.errors import UnknownCommitError
from retrain.run.errors import AmbiguousCommitError, CommitDigitsError, CommitGoneError
from retrain.run.release import Release
from retrain.work import git_program
from retrain.work.mirrors import fetched_whole, mirror_name
from retrain.work.origin import Origin
from retrain.work.shallow_checkout import references

_DIGITS = re.compile(r"[0-9a-f]{7,40}")


def check_digits(digits: str) -> str:
    """Return the digits of a commit in lower case.

    Raises:
        CommitDigitsError: they are not 7 to 40 hex digits.
    """
    found = digits.lower()
    if not _DIGITS.fullmatch(found):
        raise CommitDigitsError(
            f"{digits!r} does not name a commit. Give its hex digits, 7 to 40 of them: COMMIT=$(git rev-parse HEAD)"
        )
    return found


def commit_with(origin: Origin, digits: str, mirrors: Path) -> str:
    """The one commit (40 hex digits) with these first digits to which a branch or a tag of the origin leads now.

    `mirrors` is the folder with the mirrors of Git origins. All branches and tags are fetched.

    Raises:
        CommitDigitsError: they are not 7 to 40 hex digits.
        UnknownCommitError: no commit has them.
        AmbiguousCommitError: several commits have them.
        OriginError: the origin does not answer.
    """
    first = check_digits(digits)
    known = fetched_whole(origin, mirrors)
    with tempfile.TemporaryDirectory(prefix="origin-") as scratch:
        clone = _cloned(origin, Path(scratch), known)
        objects = git_program.read("rev-parse", f"--disambiguate={first}", cwd=clone).split()
        peeled = (
            git_program.run("rev-parse", "--verify", "--quiet", f"{each}^{{commit}}", cwd=clone) for each in objects
        )
        commits = sorted({done.output.strip() for done in peeled if done.returncode == 0})
        commits = [commit for commit in commits if _leads_to(clone, commit)]
    if not commits:
        raise UnknownCommitError(
            f"No branch or tag of the origin {origin} has a commit {digits}. Push a branch with it, then try again."
        )
    if len(commits) > 1:
        raise AmbiguousCommitError(
            f"{digits} could be {' or '.join(commits)} of the origin {origin}. Give more digits of the commit."
        )
    return commits[0]


def require_commit(origin: Origin, release: Release, mirrors: Path) -> None:
    """Make sure that the origin still has the commit of a label. What its mirror below `mirrors` has is not fetched again.

    Raises:
        CommitGoneError: it does not have it.
        OriginError: the origin does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="origin-") as scratch:
        place = Path(scratch)
        known = references(origin, cwd=place, timeout=git_program.TIMEOUT)
        if release.commit in known.values() or _sends(origin, release.commit, place):
            return
        # An origin may refuse to send a commit that no branch or tag names itself.
        clone = _cloned(origin, place, mirrors / mirror_name(origin.url))
        if not _leads_to(clone, release.commit):
            raise CommitGoneError(
                f"The origin {origin} no longer has {release.commit}, the commit of the label {release.tag}: it is on no branch and no "
                "tag. Push a branch with it again, then clear the task, or release another commit."
            )


def _cloned(origin: Origin, place: Path, known: Path) -> Path:
    """A bare clone with exactly the branches and tags that the origin has now. Objects of the mirror `known` are read there."""
    settings = ("--bare", "--quiet", "--template=", "--reference-if-able", known)
    git_program.read("clone", *settings, "--", origin.url, place / "clone.git", cwd=place, origin=origin)
    return place / "clone.git"


def _sends(origin: Origin, commit: str, place: Path) -> bool:
    """True if the origin sends the commit by its digits. Without its files, if the origin can leave them out."""
    bare = place / "fetched.git"
    git_program.read("init", "--bare", "--quiet", "--template=", bare, cwd=place)
    settings = ("--quiet", "--depth=1", "--filter=tree:0", "--no-tags", "--no-recurse-submodules")
    return git_program.run("fetch", *settings, "--", origin.url, commit, cwd=bare, origin=origin).returncode == 0


def _leads_to(clone: Path, commit: str) -> bool:
    """True if a branch or tag leads to a commit. That its object is there says nothing: it may be the mirror's."""
    found = git_program.run("for-each-ref", "--count=1", f"--contains={commit}", cwd=clone)
    return found.returncode == 0 and bool(found.output.strip())
