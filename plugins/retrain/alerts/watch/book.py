"""The incidents of the last 90 days, in memory and on disk.

A crash at any point neither repeats nor loses anything: a signal leaves the outbox only after its incident is saved, and folding
it a second time changes nothing. A full disk does not hold up a message: an incident counts from memory, and is written when
there is room.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retrain.alerts import incident as folding
from retrain.alerts.incident import Incident, Situation
from retrain.alerts.incident_document import SCHEMA_VERSION, from_fields, to_json
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch.documents import DocumentFolder, parser

KEPT = timedelta(days=90)


class Book:
    """Thread-safe. On disk: incidents in `open/` and `closed/`; in `notes/` the signals that only the digest shows."""

    def __init__(self, folder: Path) -> None:
        self._open = DocumentFolder(folder / "open")
        self._closed = DocumentFolder(folder / "closed")
        self._note_files = DocumentFolder(folder / "notes")
        self._lock = threading.RLock()
        self._unsaved: dict[str, Incident | Signal] = {}
        self._notes = {note.id: note for note in self._note_files.read(Signal.from_json)}
        parse = parser(from_fields, SCHEMA_VERSION)
        self._incidents = {
            known.id: known for documents in (self._open, self._closed) for known in documents.read(parse)
        }
        for known in self._incidents.values():
            if not known.open:  # a crash may have left it in both folders
                self._open.remove(known.id)

    def fold(self, signal: Signal, situation: Situation | None = None) -> bool:
        """Fold a signal into the incidents; False if it changes nothing. A change counts at once, and is on disk after `save`.

        Raises:
            SignalError: the signal is a trouble or a progress of no kind.
        """
        with self._lock:
            if signal.step is Step.NOTE:
                if signal.id in self._notes:
                    return False
                self._notes[signal.id] = self._unsaved[signal.id] = signal
                return True
            if signal.step is Step.TROUBLE and self.knows(signal):
                return False
            return self._replace(folding.apply(list(self._incidents.values()), signal, situation))

    def restate(self, pipeline: str, situation: Situation) -> bool:
        """Update the situation in the pipeline's open incidents; False if none of their messages changes."""
        with self._lock:
            before = self._with_situation(pipeline)
            return self._replace([after for i in before if (after := folding.restated(i, situation)) is not i])

    def situations(self, pipeline: str) -> list[Situation | None]:
        """The situations that the pipeline's open incidents show; None for an incident that shows none yet."""
        return [incident.situation for incident in self._with_situation(pipeline)]

    def save(self) -> None:
        """Write everything that is not on disk yet.

        Raises:
            OSError: the disk did not take something. It stays in memory and a later call writes it; the rest is written.
        """
        failure: OSError | None = None
        with self._lock:
            for identifier, unsaved in list(self._unsaved.items()):
                try:
                    self._write(unsaved)
                    del self._unsaved[identifier]
                except OSError as error:
                    failure = error
        if failure is not None:
            raise failure

    def knows(self, signal: Signal) -> bool:
        """True if an incident, open or closed, has an entry for this signal."""
        with self._lock:
            return any(entry.id == signal.id for known in self._incidents.values() for entry in known.entries)

    def incidents(self) -> list[Incident]:
        """Every incident of the last 90 days, open or closed, oldest first."""
        with self._lock:
            return sorted(self._incidents.values(), key=lambda incident: (incident.opened_at, incident.id))

    def open(self) -> list[Incident]:
        return [incident for incident in self.incidents() if incident.open]

    def notes(self, after: str, until: str) -> list[Signal]:
        """The notes for the digest of (after, until], oldest first. Both moments are UTC, ISO 8601."""
        with self._lock:
            return sorted((n for n in self._notes.values() if after < n.at <= until), key=lambda note: note.at)

    def prune(self, now: datetime) -> list[str]:
        """Remove incidents that ended, and notes that were written, over 90 days ago. Returns the ids of those incidents."""
        limit = (now - KEPT).astimezone(UTC).isoformat()
        with self._lock:
            gone = [i.id for i in self._incidents.values() if i.resolved_at is not None and i.resolved_at < limit]
            for identifier in gone:
                del self._incidents[identifier]
                self._unsaved.pop(identifier, None)
                self._closed.remove(identifier)
            for identifier in [note.id for note in self._notes.values() if note.at < limit]:
                del self._notes[identifier]
                self._note_files.remove(identifier)
        return gone

    def _with_situation(self, pipeline: str) -> list[Incident]:
        return [i for i in self.open() if i.key.pipeline == pipeline and i.key.kind is not Kind.BACKFILL]

    def _replace(self, changed: list[Incident]) -> bool:
        for incident in changed:
            self._incidents[incident.id] = self._unsaved[incident.id] = incident
        return bool(changed)

    def _write(self, unsaved: Incident | Signal) -> None:
        if isinstance(unsaved, Signal):
            self._note_files.write(unsaved.id, unsaved.to_json())
        elif unsaved.open:
            self._open.write(unsaved.id, to_json(unsaved))
        else:
            self._closed.write(unsaved.id, to_json(unsaved))
            self._open.remove(unsaved.id)
