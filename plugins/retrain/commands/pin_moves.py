"""Moving the pin, by a release or a rollback. The ledger notes each move before it is made."""

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
    """Read and write access to the pins of pipelines."""

    def pin(self, pipeline: str) -> Pin | None:
        """The pin of a pipeline; None if none is set."""

    def set_pin(self, pipeline: str, pin: Pin) -> None:
        """Replace the pin of a pipeline."""


def required(store: PinStore, pipeline: str) -> Pin:
    """The pin of a pipeline.

    Raises:
        NoPinError: none is set, or it cannot be read.
    """
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
    """Pin `tag` at the commit that the origin names for it now; returns the pin.

    Args:
        store: where the pin is kept.
        ledger: the ledger of the pipeline.
        pipeline: the pipeline.
        repository: the URL of the Git origin.
        tag: the release, vX.Y.Z.
        examine: raises an error if a release with this checkout cannot run; by default the checkout is not examined.

    Raises:
        ReleaseError: the origin has no such tag, its commit has no dvc.yaml, or the tag was pinned or run at another commit before.
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
    """Pin the release that was live before; returns the pin.

    A ledger that does not answer does not stop a rollback; the note of it is then missing there.

    Raises:
        NoPinError: no release is pinned.
        NoEarlierReleaseError: no other release was pinned before.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    now = required(store, pipeline)
    before = now.rolled_back()
    try:
        # The tag of the release that is given up keeps its commit: it is refused if it moves after the rollback.
        ledger_facts.keep_tags(ledger, pipeline, now)
        ledger_facts.note_pin(ledger, pipeline, ledger_facts.pins(ledger, pipeline), before.live, now.live, "rollback")
    except StoreError as error:
        log.warning("the rollback to %s is not noted in the ledger: %s", before.live.tag, error)
    store.set_pin(pipeline, before)
    return before
