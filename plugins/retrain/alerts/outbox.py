"""Signals on the shared volume: any process of any host puts them there, only the watch takes them."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from retrain.alerts.errors import OutboxError, SignalError
from retrain.alerts.signal import Signal
from retrain.work.files import write_whole

log = logging.getLogger(__name__)

_BALLAST_BYTES = 1_000_000
_PROBE_BYTES = 4096
_ROOM_BYTES = 50_000_000
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Outbox:
    """A folder: `new/` holds signals, `pictures/` their pictures, `garbage/` files that are no signals.

    A full disk has to be reported too: the file `ballast` is removed to make room for the signal that says so.
    """

    folder: Path
    unreadable: dict[str, str] = field(default_factory=dict, compare=False)  # after `take`: file name -> why

    def put(self, signal: Signal, pictures: Mapping[str, bytes] | None = None) -> None:
        """Write a signal, after its pictures (PNG, by file name). A signal of the same id and time is written once.

        Raises:
            OutboxError: the disk takes no file, even without the ballast.
        """
        try:
            self._put(signal, pictures or {})
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._ballast.exists():
                raise self._refused(signal, error) from error
            self._ballast.unlink(missing_ok=True)
            log.warning(
                "the disk of %s is full: the ballast is removed to make room for the signal %s", self.folder, signal.id
            )
            try:
                self._put(signal, {})  # without the pictures, which may not fit
            except OSError as again:
                raise self._refused(signal, again) from again

    def take(self) -> Iterator[tuple[Path, Signal]]:
        """The signals with their files, oldest first. The caller removes a file once it has saved the signal elsewhere.

        A file that cannot be read holds up no other: it is named in `unreadable`.

        Raises:
            OSError: the folder cannot be listed.
        """
        unreadable: dict[str, str] = {}
        for path in sorted(self._files()):
            try:
                found = self._read(path)
            except OSError as error:
                if path.name not in self.unreadable:
                    log.exception("%s cannot be read or put aside; it is tried again", path)
                unreadable[path.name] = str(error)
                continue
            if found is not None:
                yield path, found
        self.unreadable.clear()
        self.unreadable.update(unreadable)

    def _read(self, path: Path) -> Signal | None:
        try:
            return Signal.from_json(path.read_text(encoding="utf-8"), path.name)
        except FileNotFoundError:
            return None
        except (SignalError, UnicodeDecodeError):
            log.exception("%s is put aside", path)
            self.put_aside(path)
            return None

    def put_aside(self, path: Path) -> None:
        """Move a file that is no signal to `garbage/`, for people to look at."""
        (self.folder / "garbage").mkdir(exist_ok=True)
        path.replace(self.folder / "garbage" / path.name)

    def waiting(self) -> tuple[int, float]:
        """The number of readable signals that wait, and the age of the oldest in seconds."""
        written = []
        for path in self._files():
            if path.name in self.unreadable:
                continue
            with suppress(FileNotFoundError):  # it was taken a moment ago
                written.append(path.stat().st_mtime)
        return len(written), max(0.0, time.time() - min(written)) if written else 0.0

    def garbage(self) -> list[str]:
        """The names of the files that were put aside."""
        return sorted(path.name for path in (self.folder / "garbage").glob("*"))

    def picture(self, name: str) -> Path:
        """The path of a picture. A name with folders in it is cut to its last part."""
        return self.folder / "pictures" / Path(name).name

    def prune(self, before: datetime) -> None:
        """Remove the pictures written before a moment."""
        for path in (self.folder / "pictures").glob("*"):
            if path.stat().st_mtime < before.timestamp():
                path.unlink(missing_ok=True)

    def check(self) -> None:
        """Write a file as tasks do, then remove it.

        Raises:
            OSError: the disk would refuse a task's signal.
        """
        probe = self.folder / "new" / "probe"
        write_whole(probe, b"-" * _PROBE_BYTES)
        probe.unlink(missing_ok=True)

    def keep_ballast(self) -> None:
        """Write the ballast again, once the disk has room for more than that: the watch has to save incidents too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._ballast.exists() and shutil.disk_usage(self.folder).free > _ROOM_BYTES:
            # Random bytes: zeros would compress to nothing on some file systems.
            write_whole(self._ballast, os.urandom(_BALLAST_BYTES))

    def _files(self) -> list[Path]:
        folder = self.folder / "new"
        # Path.glob would find nothing in a folder that cannot be listed.
        paths = list(folder.iterdir()) if folder.exists() else []
        return [path for path in paths if path.suffix == ".json"]

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
            f"The signal {signal.id} could not be written below {self.folder} ({error}). Its text is in the log above; "
            "the watch will report the run as missing after its deadline. Free some space."
        )
