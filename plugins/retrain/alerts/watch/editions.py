"""The daily digests: one per day and channel, composed once and kept for a week."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from retrain.alerts.message.plain_text import Content
from retrain.alerts.watch.documents import DocumentFolder, parser
from retrain.work.files import write_whole

_DAY = timedelta(days=1)
_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Edition:
    """A composed digest, which does not change any more. `at` is UTC, ISO 8601; `blocks` are Block Kit."""

    id: str
    channel: str
    at: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """The time that a digest covers: (after, until], which ends with `day`. It `appears` later. All moments are UTC, ISO 8601."""

    day: date
    after: str
    until: str
    appears: str


class Editions:
    """The editions of the last week. Not thread-safe, except for `all`."""

    def __init__(self, folder: Path, at: time) -> None:
        self._at = at
        self._until_file = folder / "until"
        self._documents = DocumentFolder(folder)
        self.all: tuple[Edition, ...] = tuple(self._documents.read(parser(Edition, 1, unversioned=1)))

    def due(self, now: datetime) -> Window | None:
        """The time that the next digest covers; None before it is due. Days on which the watch did not run are included."""
        midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        appears = datetime.combine(midnight.date(), self._at, UTC)
        covered_until = self._until()
        if covered_until is None:  # the watch's very first day: there is nothing before it
            write_whole(self._until_file, midnight.isoformat().encode())
            return None
        if now < appears or covered_until >= midnight:
            return None
        after = max(covered_until, midnight - _KEPT)
        return Window(midnight.date() - _DAY, after.isoformat(), midnight.isoformat(), appears.isoformat())

    def compose(self, window: Window, write: Callable[[str], Content | None], channels: Iterable[str]) -> None:
        """Write each channel's digest. `write` returns None for a quiet day. Repeating it after a crash changes nothing.

        Raises:
            OSError: the disk did not take a digest.
        """
        oldest = (datetime.fromisoformat(window.until) - _KEPT).isoformat()
        kept = [edition for edition in self.all if edition.at >= oldest]
        for channel in channels:
            identifier = f"digest/{window.day}/{channel}"
            content = None if any(edition.id == identifier for edition in kept) else write(channel)
            if content is not None:
                edition = Edition(identifier, channel, window.appears, content.text, list(content.blocks))
                self._documents.write(identifier, json.dumps(asdict(edition), indent=1))
                kept.append(edition)
        write_whole(self._until_file, window.until.encode())
        for gone in {edition.id for edition in self.all} - {edition.id for edition in kept}:
            self._documents.remove(gone)
        self.all = tuple(kept)

    def _until(self) -> datetime | None:
        try:
            return datetime.fromisoformat(self._until_file.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
