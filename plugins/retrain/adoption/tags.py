"""Which tag of the repository would be released."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrain.adoption.observation import Observation, listed, noted, surprises
from retrain.adoption.snapshot import Snapshot
from retrain.errors import TagGrammarError
from retrain.run.release import version

TOPIC = "tags"
_GRAMMARS = {
    r".+@v?\d+\.\d+\.\d+.*": "name@vX.Y.Z, as GTO writes them",
    r".+/v?\d+\.\d+\.\d+.*": "name/vX.Y.Z",
    r"(19|20)\d\d[.-]\d{1,2}([.-]\d+)?": "calendar versions",
    r"\d+\.\d+\.\d+": "X.Y.Z without v",
    r"v\d+(\.\d+)?": "vX or vX.Y",
    r"v?\d+\.\d+\.\d+[-+.].*": "pre-releases",
}


def observations(snapshot: Snapshot) -> Iterator[Observation]:
    """Does the repository have tags vX.Y.Z, and is the checked commit one of them?"""
    released = sorted((tag for tag in snapshot.tags if _is_release(tag)), key=version)
    own = [tag for tag in released if tag in snapshot.own_tags]
    advice = f"git tag {_next(released)} {snapshot.commit[:12]}, push it, then make release PIPELINE=<name> TAG={_next(released)}."
    if own:
        yield noted(
            TOPIC, snapshot.reference, f"can be released as {own[-1]}: make release PIPELINE=<name> TAG={own[-1]}."
        )
    elif released:
        yield noted(TOPIC, snapshot.reference, f"is no release; the newest tag vX.Y.Z is {released[-1]}.", advice)
    else:
        others = f" Its tags are {listed(snapshot.tags)} ({grammar(snapshot.tags)})." if snapshot.tags else ""
        yield surprises(
            TOPIC,
            snapshot.reference,
            f"only a tag vX.Y.Z can be released, and the repository has none.{others}",
            f"{advice} Other patterns of tags are not supported yet.",
        )


def grammar(tags: tuple[str, ...]) -> str:
    """The pattern that most of these tags follow."""
    counts = {name: sum(bool(re.fullmatch(form, tag)) for tag in tags) for form, name in _GRAMMARS.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else "no version"


def _is_release(tag: str) -> bool:
    try:
        version(tag)
    except TagGrammarError:
        return False
    return True


def _next(released: list[str]) -> str:
    if not released:
        return "v1.0.0"
    major, minor, _ = version(released[-1])
    return f"v{major}.{minor + 1}.0"
