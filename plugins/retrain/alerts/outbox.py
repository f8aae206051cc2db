"""Signals on disk: any process of any host of the shared volume puts them there, the watch alone takes them."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from retrain.alerts.signal import Signal
from retrain.errors import OutboxError, SignalError

log = logging.getLogger(__name__)

_BALLAST_BYTES = 1_000_000
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
                (self.folder / "garbage").mkdir(exist_ok=True)
                path.replace(self.folder / "garbage" / path.name)

    def keep_ballast(self) -> None:
        """Lay the ballast down again once there is room for it."""
        if not self._ballast.exists():
            _write(self._ballast, os.urandom(_BALLAST_BYTES))  # zeros would compress to nothing on some file systems

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def _put(self, signal: Signal, pictures: Mapping[str, bytes]) -> None:
        for name, content in pictures.items():
            _write(self.folder / "pictures" / name, content)
        digest = hashlib.sha256(signal.id.encode()).hexdigest()[:16]
        _write(self.folder / "new" / f"{_UNSAFE.sub('-', signal.at)}-{digest}.json", signal.to_json().encode())

    def _refused(self, signal: Signal, error: OSError) -> OutboxError:
        return OutboxError(
            f"The signal {signal.id} could not be written below {self.folder} ({error}). The log above has what it says; "
            "the watch will miss the run by its deadline and tell that. Free some space."
        )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a reader never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
