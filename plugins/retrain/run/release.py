"""The release grammar and the pin: which tag is live, at which commit, and what was live before."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retrain.errors import MovedTagError, NoEarlierReleaseError, NoPinError, TagGrammarError

PATTERN = r"^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$"
_TAG = re.compile(r"v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_KEPT = 20


def check_tag(tag: str) -> str:
    """The tag itself when it is vX.Y.Z; TagGrammarError otherwise."""
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise TagGrammarError(f"{tag!r} is not a release. A release is a Git tag vX.Y.Z, such as v1.4.0.")
    return tag


def version(tag: str) -> tuple[int, int, int]:
    """A tag as numbers, for sorting."""
    match = _TAG.fullmatch(check_tag(tag))
    if match is None:  # check_tag has refused it already
        raise TagGrammarError(tag)
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)


@dataclass(frozen=True)
class Release:
    """A tag and the commit that it named when it was pinned."""

    tag: str
    commit: str

    def __post_init__(self) -> None:
        check_tag(self.tag)
        if not isinstance(self.commit, str) or not _COMMIT.fullmatch(self.commit):
            raise NoPinError(f"{self.commit!r} is not a commit of 40 hex digits. Pin {self.tag} again.")


@dataclass(frozen=True)
class Pin:
    """What is live, and what was before, newest first."""

    live: Release
    previous: tuple[Release, ...] = field(default=())

    def moved_to(self, release: Release) -> Pin:
        """The pin after a deploy of `release`; the same pin when it is live already, MovedTagError when its tag has moved."""
        if release == self.live:
            return self
        known = self.known_commit(release.tag)
        if known is not None:
            confirm(Release(release.tag, known), release.commit)
        return Pin(release, (self.live, *self.previous)[:_KEPT])

    def rolled_back(self) -> Pin:
        """The pin after a rollback: the one live before is live, and what was live is forgotten."""
        if not self.previous:
            raise NoEarlierReleaseError(f"Nothing was pinned before {self.live.tag}. Pin a tag by name instead.")
        return Pin(self.previous[0], self.previous[1:])

    def known_commit(self, tag: str) -> str | None:
        """The commit that this tag had when it was pinned, now or before."""
        return next((known.commit for known in (self.live, *self.previous) if known.tag == tag), None)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, name: str) -> Pin:
        """Read from the text of the Airflow Variable `name`."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise NoPinError(
                f"The Airflow Variable {name} is not JSON ({error}). Run: make release TAG=vX.Y.Z"
            ) from error
        return cls.from_mapping(value, name)

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any] | None, name: str) -> Pin:
        """Read from the Airflow Variable `name`."""
        if value is None:
            raise NoPinError(
                f"No release is pinned: the Airflow Variable {name} is not set. Run: make release TAG=vX.Y.Z"
            )
        try:
            return cls(Release(**value["live"]), tuple(Release(**entry) for entry in value["previous"]))
        except (KeyError, TypeError) as error:
            raise NoPinError(
                f"The Airflow Variable {name} is not a pin ({error}). Run: make release TAG=vX.Y.Z"
            ) from error


def variable(pipeline: str) -> str:
    """The name of the Airflow Variable that holds a pipeline's pin."""
    return f"{pipeline}_release"


def confirm(asked: Release, commit_at_origin: str) -> Release:
    """The release, when the origin's tag still names the pinned commit; MovedTagError with both commits otherwise."""
    if commit_at_origin != asked.commit:
        raise MovedTagError(
            f"The tag {asked.tag} has moved: pinned at {asked.commit}, the origin now says {commit_at_origin}. "
            f"Nothing was run. Put the tag back, or release the new commit under a new tag."
        )
    return asked
