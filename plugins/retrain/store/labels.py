"""The labels of commits without a tag, in the ledger: each is created once."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from retrain.run.errors import LabelTakenError
from retrain.run.release import Pin, Release
from retrain.store import events, ledger_facts
from retrain.store.events import LABELS
from retrain.store.ledger import Ledger


def labelled(ledger: Ledger, pipeline: str, label: str) -> Release | None:
    """The label with its commit; None if it is no label.

    Raises:
        RecordError: the event cannot be read.
    """
    name = quote(label, safe="")
    body = ledger.event_body(pipeline, LABELS, name)
    return None if body is None else Release(label, events.read(events.LabelEvent, body, f"{LABELS}/{name}").commit)


def fix_label(ledger: Ledger, pipeline: str, release: Release, pin: Pin | None = None) -> Release:
    """Note the commit of a label, which it has from now on; returns the release.

    Args:
        ledger: the ledger.
        pipeline: the pipeline.
        release: the label with its commit.
        pin: the current pin, as for `ledger_facts.fix_tag`.

    Raises:
        LabelTakenError: the label, or a tag of this name, was released with another commit. The sentence names both.
    """
    known = ledger_facts.first_commit(ledger, pipeline, release, pin)
    if known != release.commit:
        raise LabelTakenError(
            f"The label {release.tag} stands for {known} already, and was now given to {release.commit}. Nothing was pinned. "
            "Choose another label for this commit: AS=<label>"
        )
    # After the name's commit: a call that was interrupted in between is completed when it is made again.
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    ledger.event(pipeline, LABELS, quote(release.tag, safe=""), events.LabelEvent(now, release.commit).to_dict())
    return release
