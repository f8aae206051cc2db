"""Housekeeping in the folder of the watch: old files are removed, the outbox stays writable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from retrain.alerts.watch.book import KEPT
from retrain.alerts.watch.state import WatchState


class Housekeeping:
    """`forget` are called with the id of each incident that the book removes, so that its marks go too."""

    def __init__(self, state: WatchState, forget: Sequence[Callable[[str], None]]) -> None:
        self._state = state
        self._forget = forget
        self.outbox_problem = ""

    def run(self) -> None:
        """Remove what is over 90 days old. `outbox_problem` says afterwards why tasks cannot write signals, if they cannot."""
        state, outbox = self._state, self._state.outbox
        try:
            outbox.check()
            self.outbox_problem = ""
        except OSError as error:
            self.outbox_problem = f"Tasks cannot write signals below {outbox.folder}: {error}"
        for incident in state.book.prune(state.now()):
            for forget in self._forget:
                forget(incident)
        outbox.prune(state.now() - KEPT)
        outbox.keep_ballast()
