"""Moving the pin: a release and a rollback. Each is noted in the ledger before the pin moves."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from retrain.errors import NoPinError, StoreError
from retrain.run.release import Pin, Release, check_tag, variable
from retrain.store import ledger_facts
from retrain.store.ledger import Ledger
from retrain.work import git

log = logging.getLogger(__name__)


class PinStore(Protocol):
    """Where the pin is kept, for a person who moves it."""

    def pin(self, pipeline: str) -> Pin | None: ...
    def set_pin(self, pipeline: str, pin: Pin) -> None: ...


def required(store: PinStore, pipeline: str) -> Pin:
    """The pin of a pipeline; NoPinError when there is none."""
    found = store.pin(pipeline)
    if found is None:
        raise NoPinError(
            f"No release is pinned: the Airflow Variable {variable(pipeline)} is not set. Run: make release TAG=vX.Y.Z"
        )
    return found


def deploy(
    store: PinStore,
    ledger: Ledger,
    pipeline: str,
    repository: str,
    tag: str,
    examine: Callable[[Path], None] | None = None,
) -> Pin:
    """Pin `tag` at the commit that the origin `repository` names now, after looking into that commit.

    Args:
        examine: raises when the release's checkout cannot run.

    Raises:
        ReleaseError: no such tag, no dvc.yaml in it, or a tag that was pinned or run at another commit at any time before.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    check_tag(tag)
    with tempfile.TemporaryDirectory() as scratch:
        chosen = Release(tag, git.commit_of_tag(repository, tag, cwd=Path(scratch)))
        mirror = git.mirror(repository, chosen, Path(scratch) / "mirror.git")
        if examine is not None:
            git.checkout(mirror, chosen.commit, Path(scratch) / "checkout")
            examine(Path(scratch) / "checkout")
    moves, before = ledger_facts.pins(ledger, pipeline), store.pin(pipeline)
    ledger_facts.fix_tag(ledger, pipeline, chosen, before)
    now = before.moved_to(chosen) if before else Pin(chosen)
    if now != before:
        ledger_facts.note_pin(ledger, pipeline, moves, chosen, before.live if before else None, "release")
        if store.pin(pipeline) != before:
            raise ledger_facts.moved_meanwhile(pipeline, chosen)
        store.set_pin(pipeline, now)
    return now


def roll_back(store: PinStore, ledger: Ledger, pipeline: str) -> Pin:
    """Pin what was live before. A ledger that does not answer does not stop it: what is noted there is then missing.

    Raises:
        NoEarlierReleaseError: nothing was.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    now = required(store, pipeline)
    before = now.rolled_back()
    try:
        # The release that is left behind keeps its commit: its tag is refused if it moves after the rollback.
        ledger_facts.keep_tags(ledger, pipeline, now)
        ledger_facts.note_pin(ledger, pipeline, ledger_facts.pins(ledger, pipeline), before.live, now.live, "rollback")
    except StoreError as error:
        log.warning("the rollback to %s is not noted in the ledger: %s", before.live.tag, error)
    store.set_pin(pipeline, before)
    return before
