"""Releases: a tag or a label with its commit, and the pin, which says which one is live."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retrain.deployment import git_names
from retrain.errors import MovedTagError, NoEarlierReleaseError, NoPinError, TagGrammarError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_KEPT = 20


def check_tag(tag: str) -> str:
    """Return the name of a tag, or a label, if it is safe to use. `TagPattern` decides whether it is a release.

    Raises:
        TagGrammarError: it is not.
    """
    if not git_names.is_safe(tag):
        raise TagGrammarError(
            f"{tag!r} is no name of a release. A name has up to {git_names.LONGEST} letters, digits and _ . @ + = / -, as Git takes "
            "them for a tag, and begins with a letter, a digit or _."
        )
    return tag


@dataclass(frozen=True)
class Release:
    """A tag, or a label, and the commit (40 hex digits) that it named when it was pinned.

    Raises:
        TagGrammarError: the tag has characters that a name must not have.
        NoPinError: the commit is not a commit.
    """

    tag: str
    commit: str

    def __post_init__(self) -> None:
        check_tag(self.tag)
        if not isinstance(self.commit, str) or not _COMMIT.fullmatch(self.commit):
            raise NoPinError(f"{self.commit!r} is not a commit of 40 hex digits. Pin {self.tag} again.")


@dataclass(frozen=True)
class Pin:
    """The live release, and those that were live before, newest first."""

    live: Release
    previous: tuple[Release, ...] = field(default=())

    def moved_to(self, release: Release) -> Pin:
        """The pin after a deploy of `release`; the same pin if it is live already.

        Raises:
            MovedTagError: its tag was pinned at another commit before.
        """
        if release == self.live:
            return self
        known = self.known_commit(release.tag)
        if known is not None:
            confirm(Release(release.tag, known), release.commit)
        return Pin(release, (self.live, *self.previous)[:_KEPT])

    def rolled_back(self) -> Pin:
        """The pin after a rollback: the previous release is live, and the one that was live is removed.

        Raises:
            NoEarlierReleaseError: there is no previous release.
        """
        if not self.previous:
            raise NoEarlierReleaseError(
                f"No release was pinned before {self.live.tag}. Pin one by name: make release TAG=<tag>"
            )
        return Pin(self.previous[0], self.previous[1:])

    def known_commit(self, tag: str) -> str | None:
        """The commit at which this tag is pinned or was pinned before; None if it never was."""
        return next((known.commit for known in (self.live, *self.previous) if known.tag == tag), None)

    def to_json(self) -> str:
        """The text of the Airflow Variable."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, name: str) -> Pin:
        """Read the text of the Airflow Variable `name`.

        Raises:
            NoPinError: it is not a pin.
        """
        try:
            value = json.loads(text)
        except ValueError as error:
            raise NoPinError(
                f"The Airflow Variable {name} is not JSON ({error}). Run: make release TAG=<tag>"
            ) from error
        return cls.from_mapping(value, name)

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any] | None, name: str) -> Pin:
        """Read the value of the Airflow Variable `name`.

        Raises:
            NoPinError: it is not set, or not a pin.
        """
        if value is None:
            raise NoPinError(
                f"No release is pinned: the Airflow Variable {name} is not set. Run: make release TAG=<tag>"
            )
        try:
            return cls(Release(**value["live"]), tuple(Release(**entry) for entry in value["previous"]))
        except (KeyError, TypeError) as error:
            raise NoPinError(
                f"The Airflow Variable {name} is not a pin ({error}). Run: make release TAG=<tag>"
            ) from error


def variable(pipeline: str) -> str:
    """The name of the Airflow Variable with a pipeline's pin."""
    return f"{pipeline}_release"


def confirm(asked: Release, commit_at_origin: str) -> Release:
    """Return the release if the origin's tag still names its commit.

    Raises:
        MovedTagError: the tag names another commit; the message has both.
    """
    if commit_at_origin != asked.commit:
        raise MovedTagError(
            f"The tag {asked.tag} has moved: pinned at {asked.commit}, the origin now says {commit_at_origin}. "
            f"Nothing was run. Put the tag back, or release the new commit under a new tag."
        )
    return asked
