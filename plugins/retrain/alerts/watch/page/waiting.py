"""The signals that wait in the outbox, as the page counts them."""

from __future__ import annotations

from retrain.alerts.outbox import Outbox


def signals_waiting(outbox: Outbox) -> tuple[int, float]:
    """Their number, and the age of the oldest in seconds; zeros if the outbox cannot be read."""
    try:
        return outbox.waiting()
    except OSError:
        return 0, 0.0  # the health names the reason
