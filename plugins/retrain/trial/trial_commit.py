"""The commit of a trial: a tag, a branch or a commit of the origin, by default the newest release."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from retrain.deployment import git_names
from retrain.errors import UnknownCommitError
from retrain.run.release import Release
from retrain.run.tag_pattern import TagPattern
from retrain.trial.errors import UnreleasedError
from retrain.work import git, git_program
from retrain.work.mirrors import fetched, fetched_whole
from retrain.work.origin import Origin
from retrain.work.shallow_checkout import references

_TAGS, _BRANCHES = "refs/tags/", "refs/heads/"


@dataclass(frozen=True)
class TrialCommit:
    """`name` is the tag, branch or commit that was asked for; `commit` has 40 hex digits. `mirror` is the origin's, and has it."""

    name: str
    commit: str
    mirror: Path


def trial_commit(
    origin: Origin,
    name: str | None,
    mirrors: Path,
    folder: str,
    pattern: TagPattern,
    label: Callable[[str], Release | None],
) -> TrialCommit:
    """Find a commit of the origin, and fetch it into the origin's mirror, which the daily runs use too.

    Args:
        origin: the Git origin, with its access.
        name: a tag, a branch, a commit by its first digits, or a label; None for the newest release tag.
        mirrors: the folder with the mirrors of Git origins.
        folder: the folder of the pipeline in the repository.
        pattern: the pattern of the tags that are releases.
        label: finds the release with a label, or None.

    Raises:
        UnreleasedError: there is no release tag, and `name` is None.
        UnknownCommitError: the origin has no `name`.
        NotAPipelineError: the commit has no dvc.yaml.
        OriginError: the origin does not answer.
    """
    mirrors.mkdir(parents=True, exist_ok=True)
    known = references(origin, cwd=mirrors, timeout=git_program.TIMEOUT)
    tags = [each.removeprefix(_TAGS) for each in known if each.startswith(_TAGS)]
    wanted = name or pattern.newest(tags)
    if wanted is None:
        raise UnreleasedError(
            f"The origin {origin} has no release tag {pattern.form}. Name a branch or a commit: make try REF=main"
        )
    commit, mirror = _fetched(origin, wanted, known, mirrors)
    if commit is None and git_names.is_safe(wanted) and (found := label(wanted)):
        commit, mirror = found.commit, fetched(origin, found.commit, mirrors)
    if commit is None:
        raise UnknownCommitError(
            f"The origin {origin} has no tag, branch or commit {wanted}. Push it, or name one that exists."
        )
    git.require_pipeline(mirror, wanted, commit, folder)
    return TrialCommit(wanted, commit, mirror)


def _fetched(origin: Origin, name: str, known: Mapping[str, str], mirrors: Path) -> tuple[str | None, Path]:
    """The commit of a tag, else of a branch, else the one whose digits begin so, and the mirror with it."""
    commit = known.get(f"{_TAGS}{name}") or known.get(f"{_BRANCHES}{name}")
    if commit is not None:
        return commit, fetched(origin, commit, mirrors, tag=name if f"{_TAGS}{name}" in known else None)
    if not re.fullmatch(r"[0-9a-f]{7,40}", name):
        return None, mirrors
    mirror = fetched_whole(origin, mirrors)
    return git.commit_of_digits(mirror, name), mirror
