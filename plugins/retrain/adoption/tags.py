"""Which tag of the repository would be released, and by which pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from retrain.adoption.observation import Observation, listed, noted, surprises
from retrain.adoption.snapshot import Snapshot
from retrain.deployment import git_names
from retrain.run.tag_pattern import THREE_NUMBERS, VERSION, TagPattern, Version

TOPIC = "tags"
_FIRST_YEAR = 1900
_TAGGED = "make release PIPELINE=<name> TAG={}"
_LABELLED = "make release PIPELINE=<name> COMMIT={commit} AS=trial-1"


@dataclass(frozen=True)
class LikelyTags:
    """The pattern that most tags of a repository have. `releases` are its tags, the newest last; `others` are the rest."""

    pattern: TagPattern
    releases: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def key(self) -> str | None:
        """The value for `repository.tags`; None if the file needs none."""
        return self.pattern.text

    @property
    def prereleases(self) -> bool:
        """True if the file needs `repository.prereleases`: the repository has no other releases."""
        return self.pattern.prereleases


def likely(tags: tuple[str, ...]) -> LikelyTags:
    """The pattern of these tags: vX.Y.Z if no other fits more of them. Pre-releases count only where there is nothing else."""
    patterns = [THREE_NUMBERS, *(TagPattern(form) for form in _forms(tags))]
    found = _best(patterns, tags)
    if not found.releases:
        found = _best([TagPattern(each.text, prereleases=True) for each in patterns], tags)
    return found if found.releases else LikelyTags(THREE_NUMBERS, (), tags)


def _best(patterns: list[TagPattern], tags: tuple[str, ...]) -> LikelyTags:
    count = {pattern: len(pattern.in_order(tags)) for pattern in patterns}
    best = max(patterns, key=lambda pattern: count[pattern])  # the first of those that fit equally many
    if best.text == f"v{VERSION}" and 2 * count[patterns[0]] >= count[best]:
        best = patterns[0]  # beside vX.Y.Z, a tag such as v1.2 mostly moves
    releases = tuple(best.in_order(tags))
    return LikelyTags(best, releases, tuple(tag for tag in tags if tag not in releases))


def _forms(tags: tuple[str, ...]) -> list[str]:
    """The patterns that some of these tags have: a text, then a version to the end."""
    found: dict[str, None] = {}
    for tag in tags:
        starts = (match.start() for match in re.finditer(r"(?<![0-9.])[0-9]", tag))
        start = next((each for each in starts if Version.read(tag[each:])), None)
        form = None if start is None else f"{tag[:start]}{VERSION}"
        if form and git_names.is_safe(tag) and git_names.is_safe(form.replace(VERSION, "1.0.0")):
            found[form] = None
    return list(found)


def observations(snapshot: Snapshot) -> Iterator[Observation]:
    """Which tags of the repository are releases, and is the checked commit one of them?"""
    found, commit = likely(snapshot.tags), snapshot.commit[:12]
    own = [tag for tag in found.releases if tag in snapshot.own_tags]
    label = _LABELLED.format(commit=commit)
    written = f", with repository.tags: {found.key}" if found.key else ""
    others = f" Other tags are no releases then: {listed(found.others)}." if found.key and found.others else ""
    if own:
        what = f"can be released as {own[-1]}{written}: {_TAGGED.format(own[-1])}.{others}"
        yield noted(TOPIC, snapshot.reference, what)
    elif found.releases:
        newest, following = found.releases[-1], _following(found)
        this = f"git tag {following} {commit}, push it, then {_TAGGED.format(following)}" if following else label
        what = f"is no release; the newest of the tags {found.pattern.form} is {newest}{written}.{others}"
        yield noted(TOPIC, snapshot.reference, what, f"{_TAGGED.format(newest)}, or this commit: {this}.")
    elif snapshot.tags:
        yield surprises(
            TOPIC,
            snapshot.reference,
            f"no tag of the repository has a version in it: {listed(snapshot.tags)}.",
            f"release the commit under a label, {label}, or add a tag: git tag v1.0.0 {commit}.",
        )
    else:
        advice = f"release the commit under a label, {label}, or push a tag: git tag v1.0.0 {commit}."
        yield noted(TOPIC, snapshot.reference, "the repository has no tags.", advice)
    if found.prereleases and found.releases:
        yield surprises(
            TOPIC,
            snapshot.reference,
            "all its releases are pre-releases.",
            "repository.prereleases: true, which takes them.",
        )


def _following(found: LikelyTags) -> str | None:
    """A tag for the release after the newest one, of its form; None for a calendar's, whose day we do not know."""
    version = found.pattern.version(found.releases[-1])
    if version is None or version.numbers[0] >= _FIRST_YEAR:
        return None
    parts = re.split(r"[^0-9.]|\.(?![0-9])", version.text)[0].split(".")
    raised = [parts[0], str(int(parts[1]) + 1), *["0"] * (len(parts) - 2)]
    return (found.key or f"v{VERSION}").replace(VERSION, ".".join(raised))
