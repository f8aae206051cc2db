"""The clock of this machine beside a server's: AWS refuses requests that are signed more than 15 minutes off."""

from __future__ import annotations

from datetime import UTC, datetime

from retrain.doctor.finding import Finding, ok, warning, wrong

_REFUSED = 15 * 60  # seconds
_NOTICED = 60
_FIX = "Synchronise the host's clock: chronyc tracking, or timedatectl set-ntp true."


def difference(thing: str, server: datetime, now: datetime | None = None) -> Finding:
    """Compare the server's time with `now`, by default this machine's."""
    seconds = ((now or datetime.now(UTC)) - server).total_seconds()
    seen = f"this clock is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"
    if abs(seconds) >= _REFUSED:
        return wrong(thing, f"{seen}: AWS refuses what is signed more than 15 minutes off", _FIX)
    if abs(seconds) >= _NOTICED:
        return warning(thing, seen, _FIX)
    return ok(thing, seen)
