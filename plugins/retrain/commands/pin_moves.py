"""Moving the pin, by a release or a rollback. The ledger notes each move before it is made."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from retrain.errors import NoPinError, StoreError
from retrain.run.errors import LabelError
from retrain.run.label import check_label
from retrain.run.release import Pin, Release, check_tag, variable
from retrain.run.tag_pattern import THREE_NUMBERS, TagPattern
from retrain.store import ledger_facts
from retrain.store.labels import fix_label
from retrain.store.ledger import Ledger
from retrain.work import git, origin_commits
from retrain.work.origin import Origin
from retrain.work.whole_checkout import whole_checkout

log = logging.getLogger(__name__)


class PinStore(Protocol):
    """Read and write access to the pins of pipelines."""

    def pin(self, pipeline: str) -> Pin | None:
        """The pin of a pipeline; None if none is set."""

    def set_pin(self, pipeline: str, pin: Pin) -> None:
        """Replace the pin of a pipeline."""


def required(store: PinStore, pipeline: str, pattern: TagPattern) -> Pin:
    """The pin of a pipeline, whose releases have this pattern.

    Raises:
        NoPinError: none is set, or it cannot be read.
    """
    found = store.pin(pipeline)
    if found is None:
        raise NoPinError(
            f"No release is pinned: the Airflow Variable {variable(pipeline)} is not set. {pattern.advice}"
        )
    return found


def deploy(
    store: PinStore,
    ledger: Ledger,
    pipeline: str,
    origin: Origin,
    tag: str,
    examine: Callable[[Path], None] | None = None,
    *,
    folder: str = ".",
    laid: Collection[str] = (),
    mirrors: Path | None = None,
) -> Pin:
    """Pin `tag` at the commit that the origin names for it now; returns the pin.

    Args:
        store: where the pin is kept.
        ledger: the ledger of the pipeline.
        pipeline: the pipeline.
        origin: the Git origin, with its access.
        tag: the release, a tag that fits the pipeline's pattern.
        examine: raises an error if a release with this checkout cannot run; by default the checkout is not examined.
        folder: the folder of the pipeline in the repository.
        laid: paths in its DVC project that the day's data replaces.
        mirrors: the folder with the mirrors of Git origins; by default one that is removed again.

    Raises:
        ReleaseError: the origin has no such tag, its commit has no dvc.yaml, it has submodules or files in Git LFS that
            cannot be used here, or the tag was pinned or run at another commit before.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    check_tag(tag)
    with tempfile.TemporaryDirectory() as scratch:
        chosen = Release(tag, git.commit_of_tag(origin, tag, cwd=Path(scratch)))
        _examine(origin, chosen, mirrors or Path(scratch) / "git", Path(scratch), examine, folder=folder, laid=laid)
    return _move(store, ledger, pipeline, chosen, ledger_facts.fix_tag)


def deploy_commit(
    store: PinStore,
    ledger: Ledger,
    pipeline: str,
    origin: Origin,
    digits: str,
    label: str,
    pattern: TagPattern,
    examine: Callable[[Path], None] | None = None,
    *,
    folder: str = ".",
    laid: Collection[str] = (),
    mirrors: Path | None = None,
) -> Pin:
    """Pin a commit without a tag under a label, which it has from now on; returns the pin.

    Args:
        store: where the pin is kept.
        ledger: the ledger of the pipeline.
        pipeline: the pipeline.
        origin: the Git origin, with its access.
        digits: the commit, by its first 7 or more hex digits. A branch or a tag of the origin leads to it.
        label: the label.
        pattern: the pattern of the pipeline's tags, which the label must not fit.
        examine: as for `deploy`.
        folder: as for `deploy`.
        laid: as for `deploy`.
        mirrors: as for `deploy`.

    Raises:
        LabelError: the label is a tag of the origin, or could be taken for a tag or a commit.
        LabelTakenError: the label stands for another commit.
        ReleaseError: as `deploy`, for the commit.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    check_label(label, pattern)
    origin_commits.check_digits(digits)
    with tempfile.TemporaryDirectory() as scratch:
        if label in git.tags(origin, cwd=Path(scratch)):
            raise LabelError(
                f"{label} is no label: it is a tag of the origin {origin}. Choose another one, such as AS=trial-1, or release the "
                "tag: make release TAG=<tag>"
            )
        own = mirrors or Path(scratch) / "git"
        chosen = Release(label, origin_commits.commit_with(origin, digits, own))
        _examine(origin, chosen, own, Path(scratch), examine, folder=folder, laid=laid)
    return _move(store, ledger, pipeline, chosen, fix_label)


def _examine(
    origin: Origin,
    chosen: Release,
    mirrors: Path,
    scratch: Path,
    examine: Callable[[Path], None] | None,
    *,
    folder: str,
    laid: Collection[str],
) -> None:
    mirror = git.mirror(origin, chosen, mirrors, folder=folder)
    if examine is not None:
        whole_checkout(mirror, chosen.commit, scratch / "checkout", origin, folder=folder, laid=laid)
        examine(scratch / "checkout")


def _move(
    store: PinStore,
    ledger: Ledger,
    pipeline: str,
    chosen: Release,
    fix: Callable[[Ledger, str, Release, Pin | None], Release],
) -> Pin:
    """Pin a release, once the ledger has its name with its commit."""
    moves, before = ledger_facts.pins(ledger, pipeline), store.pin(pipeline)
    fix(ledger, pipeline, chosen, before)
    now = before.moved_to(chosen) if before else Pin(chosen)
    if now != before:
        ledger_facts.note_pin(ledger, pipeline, moves, chosen, before.live if before else None, "release")
        if store.pin(pipeline) != before:
            raise ledger_facts.moved_meanwhile(pipeline, chosen)
        store.set_pin(pipeline, now)
    return now


def roll_back(store: PinStore, ledger: Ledger, pipeline: str, pattern: TagPattern = THREE_NUMBERS) -> Pin:
    """Pin the release that was live before; returns the pin. `pattern` is that of the pipeline's releases, for an error.

    A ledger that does not answer does not stop a rollback; the note of it is then missing there.

    Raises:
        NoPinError: no release is pinned.
        NoEarlierReleaseError: no other release was pinned before.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    now = required(store, pipeline, pattern)
    before = now.rolled_back()
    try:
        # The tag of the release that is given up keeps its commit: it is refused if it moves after the rollback.
        ledger_facts.keep_tags(ledger, pipeline, now)
        ledger_facts.note_pin(ledger, pipeline, ledger_facts.pins(ledger, pipeline), before.live, now.live, "rollback")
    except StoreError as error:
        log.warning("the rollback to %s is not noted in the ledger: %s", before.live.tag, error)
    store.set_pin(pipeline, before)
    return before
