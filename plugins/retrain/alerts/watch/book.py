"""The incidents on disk, and what of them was told.

Only the watch writes here. A crash at any point repeats nothing and loses nothing: a signal leaves the outbox after its
incident is saved, and folding it a second time changes nothing. A disk that takes nothing holds up no message: what is known
is kept in memory, and written when there is room.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from retrain.alerts import incident as folding
from retrain.alerts.incident import Entry, Incident, Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.errors import SignalError
from retrain.work.files import write_whole

log = logging.getLogger(__name__)

R = TypeVar("R")

SCHEMA_VERSION = 2  # of incidents; 2: `situation.unknown`
_MARK_VERSION = 1  # not written yet, so that an older watch can read the marks
KEPT = timedelta(days=90)

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def file_name(identifier: str) -> str:
    """A file name for any id, told apart by a digest."""
    digest = hashlib.sha256(identifier.encode()).hexdigest()[:12]
    return f"{_UNSAFE.sub('-', identifier)[:120]}-{digest}.json"


class Book:
    """`open/` and `closed/`: one file an incident; `notes/`: what only the digest tells. For several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._incidents: dict[str, Incident] = {}
        self._notes: dict[str, Signal] = {}
        self._unsaved: dict[str, Incident | Signal] = {}
        self._read()

    def fold(self, signal: Signal, situation: Situation | None = None) -> bool:
        """Take a signal in; False when it changes nothing. What it changed counts at once, and is on disk after `save`."""
        with self._lock:
            return self._folded(signal, situation)

    def restate(self, pipeline: str, situation: Situation) -> bool:
        """Let the pipeline's open incidents say what consumers are on now; False when none says anything else."""
        with self._lock:
            before = [i for i in self._incidents.values() if _states(i, pipeline)]
            changed = [after for i in before if (after := folding.restated(i, situation)) is not i]
            for incident in changed:
                self._incidents[incident.id] = self._unsaved[incident.id] = incident
            return bool(changed)

    def states(self, pipeline: str) -> bool:
        """Whether an open incident of the pipeline says what consumers are on."""
        with self._lock:
            return any(_states(i, pipeline) for i in self._incidents.values())

    def save(self) -> None:
        """Write what is not on disk yet.

        Raises:
            OSError: the disk did not take something. It is kept in memory, and written by a later call; the rest is written.
        """
        failure: OSError | None = None
        with self._lock:
            for identifier, unsaved in list(self._unsaved.items()):
                try:
                    self._save(unsaved)
                    del self._unsaved[identifier]
                except OSError as error:
                    failure = error
        if failure is not None:
            raise failure

    def knows(self, signal: Signal) -> bool:
        """Whether an incident, over or not, has had this signal."""
        with self._lock:
            return self._has(signal)

    def incidents(self) -> list[Incident]:
        """Every incident of the last 90 days, open or not, oldest first."""
        with self._lock:
            return sorted(self._incidents.values(), key=lambda incident: (incident.opened_at, incident.id))

    def open(self) -> list[Incident]:
        return [incident for incident in self.incidents() if incident.open]

    def notes(self, after: str, until: str) -> list[Signal]:
        """What the digest of (after, until] tells, oldest first; moments are UTC, ISO 8601."""
        with self._lock:
            notes = sorted(self._notes.values(), key=lambda note: note.at)
        return [note for note in notes if after < note.at <= until]

    def prune(self, now: datetime) -> list[str]:
        """Forget what was over 90 days ago; gives the ids of the incidents."""
        limit = (now - KEPT).astimezone(UTC).isoformat()
        with self._lock:
            gone = [i.id for i in self._incidents.values() if i.resolved_at is not None and i.resolved_at < limit]
            for identifier in gone:
                self._unsaved.pop(identifier, None)
                self._path(self._incidents.pop(identifier)).unlink(missing_ok=True)
            for identifier in [note.id for note in self._notes.values() if note.at < limit]:
                self._path(self._notes.pop(identifier)).unlink(missing_ok=True)
        return gone

    def _folded(self, signal: Signal, situation: Situation | None) -> bool:
        if signal.step is Step.NOTE:
            if signal.id in self._notes:
                return False
            self._notes[signal.id] = self._unsaved[signal.id] = signal
            return True
        # An id that an incident has had, over or not, is no news.
        if signal.step is Step.TROUBLE and self._has(signal):
            return False
        changed = folding.apply(list(self._incidents.values()), signal, situation)
        for after in changed:
            self._incidents[after.id] = self._unsaved[after.id] = after
        return bool(changed)

    def _has(self, signal: Signal) -> bool:
        return any(entry.id == signal.id for known in self._incidents.values() for entry in known.entries)

    def _path(self, item: Incident | Signal) -> Path:
        if isinstance(item, Signal):
            return self.folder / "notes" / file_name(item.id)
        return self.folder / ("open" if item.open else "closed") / file_name(item.id)

    def _save(self, item: Incident | Signal) -> None:
        path = self._path(item)
        text = item.to_json() if isinstance(item, Signal) else to_json(item)
        write_whole(path, text.encode())
        if isinstance(item, Incident) and not item.open:
            (self.folder / "open" / path.name).unlink(missing_ok=True)

    def _read(self) -> None:
        for note in readable(self.folder / "notes", lambda path: Signal.from_json(path.read_text("utf-8"), path.name)):
            self._notes[note.id] = note
        # A crash may leave an incident in both: it is closed.
        for folder in ("open", "closed"):
            for known in readable(self.folder / folder, from_json):
                self._incidents[known.id] = known
                if not known.open:
                    (self.folder / "open" / file_name(known.id)).unlink(missing_ok=True)


def _states(incident: Incident, pipeline: str) -> bool:
    return incident.open and incident.key.pipeline == pipeline and incident.key.kind is not Kind.BACKFILL


def to_json(incident: Incident) -> str:
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(incident)}, sort_keys=True, indent=1) + "\n"


def from_json(path: Path) -> Incident:
    """ValueError, KeyError or TypeError when it is no incident, or of another deployment's version."""
    document = json.loads(path.read_text("utf-8"))
    version = document.pop("schema_version")
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise ValueError(f"schema_version {version!r}, this deployment reads 1 to {SCHEMA_VERSION}")
    key, situation = document.pop("key"), document.pop("situation")
    return Incident(
        **{
            **document,
            "key": Key(key["pipeline"], Kind(key["kind"]), key["subject"]),
            "entries": tuple(_entry(entry) for entry in document["entries"]),
            "situation": Situation(**situation) if situation else None,
        }
    )


def _entry(document: dict[str, Any]) -> Entry:
    pictures = tuple((name, shows) for name, shows in document["pictures"])
    return Entry(**{**document, "step": Step(document["step"]), "pictures": pictures})


def readable(folder: Path, read: Callable[[Path], R]) -> list[R]:
    """What the folder's files hold. What cannot be read is renamed `….broken`: one bad file must not silence the rest."""
    found: list[R] = []
    for path in sorted(path for path in folder.glob("*.json") if not path.name.startswith(".")):
        try:
            found.append(read(path))
        except (SignalError, ValueError, KeyError, TypeError, AttributeError):
            log.exception("%s is none of the watch's files and is put aside", path)
            path.rename(path.with_suffix(".broken"))
    return found


@dataclass(frozen=True)
class InSlack:
    """What Slack holds of one incident or digest.

    `ts` is its message's time in `channel` (an id; `named` so in the pipeline's file), `digest` the fingerprint of what it says; `replies` are the times of the
    thread's entries by id, `pictures` the names shown there. `tried` are the attempts whose answer nobody has: since when
    (seconds since 1970). `refused` is what Slack would not take, and why. `over`: nothing is left to tell.
    """

    id: str
    channel: str = ""
    named: str = ""
    ts: str = ""
    digest: str = ""
    replies: dict[str, str] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    tried: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    over: bool = False


@dataclass(frozen=True)
class Heard:
    """How far each address of the second channel has heard of an incident: `opened` or `resolved`, by the address's digest."""

    id: str
    by: dict[str, str] = field(default_factory=dict)


T = TypeVar("T", InSlack, Heard)


class Marks(Generic[T]):
    """What was told: one file an incident. One channel's own, and written by its thread alone."""

    def __init__(self, folder: Path, kind: type[T]) -> None:
        self._folder = folder
        self._kind: type[T] = kind
        self._known: dict[str, T] = {}
        for mark in readable(folder, self._from_json):
            self._known[mark.id] = mark

    def of(self, identifier: str) -> T:
        """What was told of an incident; an empty mark when nothing was."""
        return self._known.get(identifier) or self._kind(id=identifier)

    def _from_json(self, path: Path) -> T:
        document = json.loads(path.read_text("utf-8"))
        version = document.pop("schema_version", 1)
        if not isinstance(version, int) or not 1 <= version <= _MARK_VERSION:
            raise ValueError(f"schema_version {version!r}, this deployment reads 1 to {_MARK_VERSION}")
        return self._kind(**document)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._known.values()))

    def save(self, mark: T) -> None:
        """Save the mark. On a full disk it is logged and kept in memory: delivering matters more than recording, at the price
        of a repeat after a restart.
        """
        self._known[mark.id] = mark
        try:
            write_whole(self._folder / file_name(mark.id), (json.dumps(asdict(mark), indent=1) + "\n").encode())
        except OSError:
            log.exception(
                "What was told of %s could not be noted down. Free some space below %s.", mark.id, self._folder
            )

    def forget(self, identifier: str) -> None:
        if self._known.pop(identifier, None) is not None:
            (self._folder / file_name(identifier)).unlink(missing_ok=True)
