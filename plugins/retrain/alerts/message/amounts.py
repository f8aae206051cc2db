"""Numbers as messages show them."""

from __future__ import annotations

UNKNOWN = "unknown"
_UNREADABLE = 10**15


def amount(value: float | None, digits: int = 2) -> str:
    """A float with `digits` decimals, an int with none and with commas; `unknown` for None, infinities and NaN."""
    if value is None or not abs(value) < _UNREADABLE:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"
