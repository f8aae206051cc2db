"""The watch, as its page sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from retrain.alerts.watch.health import WatchHealth
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState


class Watched(Protocol):
    @property
    def state(self) -> WatchState: ...
    @property
    def parts(self) -> Mapping[str, Part]: ...
    def health(self) -> WatchHealth: ...


def signals_waiting(watch: Watched) -> tuple[int, float]:
    """The number of signals in the outbox, and the age of the oldest in seconds; zeros if the outbox cannot be read."""
    try:
        return watch.state.outbox.waiting()
    except OSError:
        return 0, 0.0  # the health names the reason
