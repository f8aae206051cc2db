"""The tags that are releases of a pipeline, in the order of their versions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from retrain.deployment import git_names
from retrain.deployment.pipeline_file import Deployment
from retrain.run.errors import PrereleaseError, TagPatternError
from retrain.run.release import check_tag

VERSION = "{version}"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER_PRE = rf"-(?P<identifiers>{_IDENTIFIER}(?:\.{_IDENTIFIER})*)"
# As pip and Maven write it: 1.4.0rc1, 1.4.0.dev0, 1.4.0.beta2.
_SHORT_PRE = r"[._]?(?P<letters>alpha|beta|preview|pre|rc|dev|a|b|c)[._]?(?P<count>[0-9]*)"
_BUILD = r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_DAY = r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01])(?:-[0-9]+)?)?"
_ANY = re.compile(
    rf"(?:(?P<day>{_DAY})|(?P<numbers>[0-9]+(?:\.[0-9]+){{1,3}})(?:{_SEMVER_PRE}|(?i:{_SHORT_PRE}))?){_BUILD}"
)
_NUMBER = "(?:0|[1-9][0-9]*)"
_THREE = re.compile(rf"(?P<numbers>{_NUMBER}\.{_NUMBER}\.{_NUMBER})(?:{_SEMVER_PRE})?")
_SHORT = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_MOST_NUMBERS = 4


@dataclass(frozen=True, order=True)
class Version:
    """A version, ordered as SemVer's paragraph 11 says. Versions of the same rank, such as 1.2 and 1.2.0, have the order of their texts.

    `numbers` has four, missing ones are 0. `identifiers` are those of a pre-release: those that are numbers come first.
    """

    numbers: tuple[int, ...]
    is_final: bool
    identifiers: tuple[tuple[bool, int, str], ...]
    text: str

    @classmethod
    def read(cls, text: str, *, only_three: bool = False) -> Self | None:
        """The version that a text is; None if it is none. `only_three`: take X.Y.Z without leading zeros only."""
        found = (_THREE if only_three else _ANY).fullmatch(text)
        if found is None:
            return None
        parts = found.groupdict()
        numbers = [int(number) for number in re.split(r"[.-]", parts["numbers"] or parts["day"])]
        identifiers = _identifiers(parts.get("identifiers"), parts.get("letters"), parts.get("count"))
        padded = (*numbers, *[0] * (_MOST_NUMBERS - len(numbers)))
        return cls(padded, not identifiers, identifiers, text)


def _identifiers(of_semver: str | None, letters: str | None, count: str | None) -> tuple[tuple[bool, int, str], ...]:
    if of_semver:
        texts = of_semver.split(".")
    elif letters:
        short = _SHORT.get(letters.lower(), letters.lower())
        # A development version comes before the first alpha, as a number comes before letters.
        texts = [count or "0"] if short == "dev" else [short, count or "0"]
    else:
        return ()
    return tuple((False, int(text), "") if text.isdigit() else (True, 0, text) for text in texts)


@dataclass(frozen=True)
class TagPattern:
    """The tags that are releases. `text` is `repository.tags` with the pipeline's name filled in; None stands for vX.Y.Z.

    Without `repository.tags` only vX.Y.Z is taken: tags such as v1.2, which often move, do not become releases by themselves.
    """

    text: str | None = None
    prereleases: bool = False

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """The pattern that a pipeline's file names."""
        repository = deployment.repository
        text = repository.tags.replace("{name}", deployment.pipeline) if repository.tags else None
        return cls(text, repository.prereleases)

    @property
    def form(self) -> str:
        """The pattern as people read it."""
        return self.text or "vX.Y.Z"

    @property
    def example(self) -> str:
        """A tag that fits."""
        return (self.text or f"v{VERSION}").replace(VERSION, "1.4.0")

    @property
    def advice(self) -> str:
        """The commands that release something."""
        return f"Run: make release TAG={self.form}, or without a tag: make release COMMIT=<commit> AS=<label>"

    def version(self, tag: str) -> Version | None:
        """The version of a tag; None if the tag is no release."""
        found = self._read(tag)
        return found if found and (found.is_final or self.prereleases) else None

    def fits(self, tag: str) -> bool:
        """True if a tag is a release."""
        return self.version(tag) is not None

    def check(self, tag: str) -> str:
        """Return the tag if it is a release.

        Raises:
            TagGrammarError: it is no name of a tag.
            TagPatternError: it does not fit the pattern.
            PrereleaseError: it is a pre-release, which the pipeline's file does not ask for.
        """
        check_tag(tag)
        if self.fits(tag):
            return tag
        if self._read(tag) is not None:
            raise PrereleaseError(
                f"{tag} is a pre-release, and this pipeline does not release those. Name a tag such as {self.example}, or write "
                "repository.prereleases: true into the pipeline's file."
            )
        rule = (
            f"repository.tags is `{self.text}`" if self.text else "without repository.tags its releases are tags vX.Y.Z"
        )
        inner = self._inner(tag)
        why = f", and {inner} is no version" if inner else ""
        raise TagPatternError(
            f"`{tag}` is no release of this pipeline: {rule}{why}. Name a tag such as {self.example}, correct repository.tags, "
            "or release the commit under a label: make release COMMIT=<commit> AS=<label>"
        )

    def in_order(self, tags: Iterable[str]) -> list[str]:
        """Those of these tags that are releases, the lowest version first."""
        versions = {tag: version for tag in tags if (version := self.version(tag)) is not None}
        return sorted(versions, key=lambda tag: versions[tag])

    def newest(self, tags: Iterable[str]) -> str | None:
        """The release with the highest version; None if there is none."""
        return next(reversed(self.in_order(tags)), None)

    def _inner(self, tag: str) -> str | None:
        """The part of a tag at the place of the version; None if what is around it differs."""
        before, _, after = (self.text or f"v{VERSION}").partition(VERSION)
        surrounded = tag.startswith(before) and tag.endswith(after) and len(tag) > len(before) + len(after)
        return tag[len(before) : len(tag) - len(after)] if surrounded else None

    def _read(self, tag: str) -> Version | None:
        inner = self._inner(tag) if git_names.is_safe(tag) else None
        return Version.read(inner, only_three=self.text is None) if inner else None


THREE_NUMBERS = TagPattern()
"""The pattern of a pipeline whose file names none."""
