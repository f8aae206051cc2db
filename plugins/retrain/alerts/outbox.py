"""Signals on disk: any process of any host of the shared volume puts them there, the watch alone takes them."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retrain.alerts.signal import Signal
from retrain.errors import OutboxError, SignalError
from retrain.files import write_whole

log = logging.getLogger(__name__)

_BALLAST_BYTES = 1_000_000
_ROOM_BYTES = 50_000_000
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Outbox:
    """`new/` holds what is to be told, `pictures/` what is shown with it, `garbage/` what is no signal of ours.

    A full disk is one of the things to tell: `ballast` is space that only the outbox may give up.
    """

    folder: Path

    def put(self, signal: Signal, pictures: Mapping[str, bytes] | None = None) -> None:
        """Keep a signal, its pictures first; OutboxError when the disk takes neither. The same id is kept once."""
        try:
            self._put(signal, pictures or {})
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._ballast.exists():
                raise self._refused(signal, error) from error
            self._ballast.unlink(missing_ok=True)
            log.warning("the disk of %s is full: the ballast makes room for the signal %s", self.folder, signal.id)
            try:
                self._put(signal, {})  # the words matter, the pictures may not fit
            except OSError as again:
                raise self._refused(signal, again) from again

    def take(self) -> Iterator[tuple[Path, Signal]]:
        """The signals in the order of their happening; whoever has kept what they mean removes the file."""
        for path in sorted((self.folder / "new").glob("*.json")):
            try:
                yield path, Signal.from_json(path.read_text(encoding="utf-8"), path.name)
            except (SignalError, UnicodeDecodeError):
                log.exception("%s is put aside", path)
                self.put_aside(path)

    def put_aside(self, path: Path) -> None:
        """Move what means nothing to us out of the way, for people to look at."""
        (self.folder / "garbage").mkdir(exist_ok=True)
        path.replace(self.folder / "garbage" / path.name)

    def waiting(self) -> tuple[int, float]:
        """How many signals wait, and for how many seconds the oldest."""
        paths = list((self.folder / "new").glob("*.json"))
        written = [path.stat().st_mtime for path in paths if path.exists()]
        return len(paths), max(0.0, time.time() - min(written)) if written else 0.0

    def garbage(self) -> list[str]:
        """The files that were put aside."""
        return sorted(path.name for path in (self.folder / "garbage").glob("*"))

    def picture(self, name: str) -> Path:
        """The picture of that name; a name that leads elsewhere is cut to its last part."""
        return self.folder / "pictures" / Path(name).name

    def prune(self, before: datetime) -> None:
        """Remove the pictures from before a moment: who shows them has long done so."""
        for path in (self.folder / "pictures").glob("*"):
            if path.stat().st_mtime < before.timestamp():
                path.unlink(missing_ok=True)

    def keep_ballast(self) -> None:
        """Lay the ballast down again, once there is room for more than it: what was told must still be noted down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._ballast.exists() and shutil.disk_usage(self.folder).free > _ROOM_BYTES:
            write_whole(
                self._ballast, os.urandom(_BALLAST_BYTES)
            )  # zeros would compress to nothing on some file systems

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def _put(self, signal: Signal, pictures: Mapping[str, bytes]) -> None:
        for name, content in pictures.items():
            write_whole(self.folder / "pictures" / name, content)
        digest = hashlib.sha256(signal.id.encode()).hexdigest()[:16]
        write_whole(self.folder / "new" / f"{_UNSAFE.sub('-', signal.at)}-{digest}.json", signal.to_json().encode())

    def _refused(self, signal: Signal, error: OSError) -> OutboxError:
        return OutboxError(
            f"The signal {signal.id} could not be written below {self.folder} ({error}). The log above has what it says; "
            "the watch will miss the run by its deadline and tell that. Free some space."
        )
