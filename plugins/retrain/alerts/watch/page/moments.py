"""Moments and durations on the page."""

from __future__ import annotations

import html
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from retrain.alerts.message.clock import between, moment, shown


def when(at: str | None, timezone: str = "UTC") -> str:
    """A moment as messages show it, in UTC, and in the pipeline's own zone where that is another: a `<time>` element."""
    read = moment(at)
    if read is None:
        return "not known"
    local = ""
    if timezone != "UTC":
        try:
            there = read.astimezone(ZoneInfo(timezone))
        except (ZoneInfoNotFoundError, ValueError):
            there = read
        if there.utcoffset():
            local = f" ({there:%H:%M %Z})" if there.date() == read.date() else f" ({there:%Y-%m-%d %H:%M %Z})"
    return f'<time datetime="{html.escape(read.isoformat())}">{html.escape(shown(at))}{html.escape(local)}</time>'


def lasted(start: str | None, end: str | datetime | None) -> str:
    """`2 h 10 min`; `a time not known` if one of the two is not known."""
    return between(start, end) or "a time not known"


def ago(seconds: float | None) -> str:
    """`12 s ago`, `4 min ago`; `not yet` for None."""
    if seconds is None:
        return "not yet"
    if seconds < 1:
        return "just now"
    minutes = int(seconds // 60)
    return f"{seconds:.0f} s ago" if not minutes else f"{minutes} min ago"
