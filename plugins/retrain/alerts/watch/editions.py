"""The daily digests: one a day and channel, composed once, kept until they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from retrain.alerts.message.plain_text import Content
from retrain.alerts.watch.book import file_name, readable
from retrain.work.files import write_whole

_DAY = timedelta(days=1)
_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Edition:
    """A composed digest; what it says does not change any more. `blocks` are Block Kit."""

    id: str
    channel: str
    at: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """What a digest is about: (after, until], UTC, ISO 8601, which ends with `day`; and the moment at which it appears."""

    day: date
    after: str
    until: str
    appears: str


class Editions:
    """The editions of the last week. One thread's own, save for reading `all`."""

    def __init__(self, folder: Path, at: time) -> None:
        self._folder = folder
        self._at = at
        self._until_file = folder / "until"
        self.all: tuple[Edition, ...] = tuple(readable(folder, lambda p: Edition(**json.loads(p.read_text("utf-8")))))

    def due(self, now: datetime) -> Window | None:
        """What the next digest is about, once it is time; None before. Days that the watch slept through are in it."""
        midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        appears = datetime.combine(midnight.date(), self._at, UTC)
        told_until = self._until()
        if told_until is None:  # the first day of all: there is nothing before it
            write_whole(self._until_file, midnight.isoformat().encode())
            return None
        if now < appears or told_until >= midnight:
            return None
        after = max(told_until, midnight - _KEPT)
        return Window(midnight.date() - _DAY, after.isoformat(), midnight.isoformat(), appears.isoformat())

    def compose(self, window: Window, write: Callable[[str], Content | None], channels: Iterable[str]) -> None:
        """Write each channel's digest; None is a quiet day. Done again after a crash, it changes nothing."""
        oldest = (datetime.fromisoformat(window.until) - _KEPT).isoformat()
        kept = [edition for edition in self.all if edition.at >= oldest]
        for channel in channels:
            identifier = f"digest/{window.day}/{channel}"
            content = None if any(edition.id == identifier for edition in kept) else write(channel)
            if content is not None:
                edition = Edition(identifier, channel, window.appears, content.text, list(content.blocks))
                write_whole(self._folder / file_name(identifier), json.dumps(asdict(edition), indent=1).encode())
                kept.append(edition)
        write_whole(self._until_file, window.until.encode())
        for gone in {edition.id for edition in self.all} - {edition.id for edition in kept}:
            (self._folder / file_name(gone)).unlink(missing_ok=True)
        self.all = tuple(kept)

    def _until(self) -> datetime | None:
        try:
            return datetime.fromisoformat(self._until_file.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
