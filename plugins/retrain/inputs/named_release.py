"""The release that a tag or a label names, at the origin as it is now."""

from __future__ import annotations

from pathlib import Path

from retrain.errors import UnknownTagError
from retrain.run.errors import LabelTakenError
from retrain.run.release import Pin, Release, check_tag, confirm
from retrain.run.tag_pattern import TagPattern
from retrain.store import labels, ledger_facts
from retrain.store.ledger import Ledger
from retrain.work import git, origin_commits
from retrain.work.origin import Origin


def named_release(
    origin: Origin, pattern: TagPattern, ledger: Ledger, pipeline: str, name: str, *, pin: Pin | None, mirrors: Path
) -> Release:
    """The release of a name, whose commit the origin has.

    A tag that fits the pattern comes first, then a label, then a tag that was released before the pattern was changed.

    Args:
        origin: the Git origin, with its access.
        pattern: the pattern of the pipeline's tags.
        ledger: the ledger of the pipeline.
        pipeline: the pipeline.
        name: the tag or label.
        pin: the current pin; None if nothing is pinned.
        mirrors: the folder with the mirrors of Git origins.

    Raises:
        TagGrammarError: it is no name.
        TagPatternError: it is neither a label nor a tag that fits the pattern.
        PrereleaseError: it is a pre-release, which the pipeline's file does not ask for.
        UnknownTagError: the origin does not have the tag.
        LabelTakenError: the label is pinned at another commit than the ledger has.
        CommitGoneError: the origin no longer has the commit of the label.
        MovedTagError: the tag points at another commit than when it was first pinned or run.
        OriginError: the origin does not answer.
    """
    mirrors.mkdir(parents=True, exist_ok=True)
    fits = pattern.fits(check_tag(name))
    if not fits and (found := _label(origin, ledger, pipeline, name, pin, mirrors)):
        return found
    if not fits and not _is_known(ledger, pipeline, name, pin):
        pattern.check(name)
    try:
        commit = git.commit_of_tag(origin, name, cwd=mirrors)
    except UnknownTagError:
        found = _label(origin, ledger, pipeline, name, pin, mirrors) if fits else None
        if found is None:
            raise
        return found
    if pin is not None and pin.live.tag == name:
        confirm(pin.live, commit)
    return ledger_facts.fix_tag(ledger, pipeline, Release(name, commit), pin)


def live_commit(origin: Origin, pattern: TagPattern, live: Release, mirrors: Path) -> str:
    """The commit of the live release at the origin, found without the ledger. A name that is no tag there and does not fit the pattern is a label.

    Raises:
        UnknownTagError: the origin does not have the tag.
        CommitGoneError: the origin no longer has the commit of the label.
        OriginError: the origin does not answer.
    """
    try:
        return git.commit_of_tag(origin, live.tag, cwd=mirrors)
    except UnknownTagError:
        if pattern.fits(live.tag):
            raise
        origin_commits.require_commit(origin, live, mirrors)
        return live.commit


def _label(origin: Origin, ledger: Ledger, pipeline: str, name: str, pin: Pin | None, mirrors: Path) -> Release | None:
    found = labels.labelled(ledger, pipeline, name)
    if found is not None:
        if pin is not None and pin.live.tag == name and pin.live != found:
            raise LabelTakenError(
                f"The label {name} is pinned at {pin.live.commit}, and the ledger has it for {found.commit}. Nothing was run. Go back "
                "to another release: make rollback"
            )
        origin_commits.require_commit(origin, found, mirrors)
    return found


def _is_known(ledger: Ledger, pipeline: str, name: str, pin: Pin | None) -> bool:
    pinned = pin is not None and pin.known_commit(name) is not None
    return pinned or ledger_facts.was_released(ledger, pipeline, name)
