"""Moments as messages show them: UTC, and never relative to now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from retrain.alerts.message.mrkdwn import plain


def moment(at: object) -> datetime | None:
    """An ISO 8601 moment, UTC where it names no zone; None for anything else."""
    try:
        read = datetime.fromisoformat(str(at))
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def shown(at: object) -> str:
    """`2020-03-18 06:41 UTC`; other text is shown as it is."""
    read = moment(at)
    return f"{read:%Y-%m-%d %H:%M} UTC" if read else plain(at, 40)


def span(start: object, end: object) -> str:
    """`2020-03-18 06:41 to 09:12 UTC`."""
    first, last = moment(start), moment(end)
    if first is None or last is None:
        return f"{shown(start)} to {shown(end)}"
    return f"{first:%Y-%m-%d %H:%M} to {last:{'%H:%M' if first.date() == last.date() else '%Y-%m-%d %H:%M'}} UTC"


def between(start: object, end: object) -> str:
    """A duration: `2 h 31 min`, `3 days 4 h`; empty if it is not known."""
    first, last = moment(start), moment(end)
    if first is None or last is None or last < first:
        return ""
    minutes = int((last - first) / timedelta(minutes=1))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} day{'s' * (days != 1)}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{minutes} min" if minutes else "less than a minute"
