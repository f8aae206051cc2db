"""The commit of a trial: a tag, a branch or a commit of the origin, by default the newest release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrain.errors import UnknownCommitError
from retrain.run import release
from retrain.trial.errors import UnreleasedError
from retrain.work import git


@dataclass(frozen=True)
class TrialCommit:
    """`name` is the tag, branch or commit that was asked for; `commit` has 40 hex digits. `repository` is a bare clone that has it."""

    name: str
    commit: str
    repository: Path


def trial_commit(origin: str, name: str | None, at: Path, known: Path) -> TrialCommit:
    """Clone the origin to `at`, and find the commit there.

    Args:
        origin: the URL of the Git origin.
        name: a tag, a branch, or a commit by its first digits; None for the newest release tag.
        at: where the bare clone goes.
        known: the mirror of an earlier run, whose objects are not fetched again.

    Raises:
        UnreleasedError: there is no release tag, and `name` is None.
        UnknownCommitError: the origin has no `name`.
        NotAPipelineError: the commit has no dvc.yaml.
        OriginError: the origin does not answer.
    """
    git.clone(origin, at, known=known)
    wanted = name or newest_release(git.tags(str(at), cwd=at))
    if wanted is None:
        raise UnreleasedError(
            f"The origin {origin} has no release tag vX.Y.Z. Name a branch or a commit: make try REF=main"
        )
    commit = git.commit_named(at, wanted)
    if commit is None:
        raise UnknownCommitError(
            f"The origin {origin} has no tag, branch or commit {wanted}. Push it, or name one that exists."
        )
    git.require_pipeline(at, wanted, commit)
    return TrialCommit(wanted, commit, at)


def newest_release(tags: list[str]) -> str | None:
    """The release tag with the highest version; None if there is none. Other tags do not count."""
    releases = [tag for tag in tags if release.is_tag(tag)]
    return max(releases, key=release.version, default=None)
