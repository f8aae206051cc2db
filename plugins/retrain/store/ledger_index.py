"""A local index of a pipeline's ledger: what its documents hold, so that a command need not read them again.

The ledger alone is the truth. A row belongs to one version of a document, by its key, ETag and size in a listing of the ledger, and
has a digest of its own. A row that does not fit is not used; a file that cannot be used is thrown away. Without an index a command
gives the same answer with more requests.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_SCHEMA = 1
_WAIT_SECONDS = 5.0  # for another process that writes
_ASKED_AT_ONCE = 500  # SQLite's limit of variables in a statement is 999 in old versions
_ROWS = """CREATE TABLE IF NOT EXISTS documents (
    form TEXT, key TEXT, etag TEXT, size INTEGER, facts BLOB, digest BLOB, PRIMARY KEY (form, key)
) WITHOUT ROWID"""
# The file does not hold what it should. Other failures (locked, full, read-only) say nothing about its content.
_DAMAGE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ABOUT = "CREATE TABLE IF NOT EXISTS about (schema INTEGER, ledger TEXT, pipeline TEXT)"

DocumentFacts = tuple[str, ...]


@dataclass(frozen=True)
class DocumentVersion:
    """One version of a document: its key, and its ETag and size in bytes in a listing."""

    key: str
    etag: str
    size: int


class LedgerIndex:
    """The rows of one pipeline's ledger. A form is a name for the facts that are kept of a kind of document, with its version.

    Used from one thread. Nothing here raises: what goes wrong is logged, and the index then knows nothing.
    """

    def __init__(self, file: Path | None, ledger: str, pipeline: str) -> None:
        """Open the index in `file`, or make it. None: an index that knows and keeps nothing."""
        self._about = (_SCHEMA, ledger, pipeline)
        self._file = file
        self._open: sqlite3.Connection | None = None
        if file is not None:
            self._start(file)

    def known(self, form: str, versions: Iterable[DocumentVersion]) -> dict[str, DocumentFacts]:
        """The facts of those document versions that the index knows, by key."""
        asked = {version.key: version for version in versions}
        keys, found, spoilt = list(asked), dict[str, DocumentFacts](), 0
        for start in range(0, len(keys), _ASKED_AT_ONCE):
            some = keys[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(some))
            text = f"SELECT key, etag, size, facts, digest FROM documents WHERE form = ? AND key IN ({marks})"  # noqa: S608 - marks only
            for key, etag, size, packed, digest in self._ask(text, (form, *some)):
                if DocumentVersion(key, etag, size) != asked[key]:
                    continue
                if not isinstance(packed, bytes) or digest != _digest(form, asked[key], packed):
                    spoilt += 1
                    continue
                found[key] = _unpacked(packed)
        if spoilt:
            log.warning("%d rows of the index %s are damaged: these documents are read again", spoilt, self._file)
        return found

    def keep(self, form: str, facts: Mapping[DocumentVersion, DocumentFacts]) -> None:
        """Keep the facts of document versions, in place of those of other versions."""
        rows = []
        for version, values in facts.items():
            packed = _packed(values)
            digest = _digest(form, version, packed)
            rows.append((form, version.key, version.etag, version.size, packed, digest))
        self._change("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?)", rows)

    def forget_others(self, form: str, keys: Iterable[str]) -> None:
        """Drop the rows of a form whose documents are not among `keys`, which must be all that the ledger holds."""
        held = set(keys)
        known = self._ask("SELECT key FROM documents WHERE form = ?", (form,))
        gone = [(form, key) for (key,) in known if key not in held]
        self._change("DELETE FROM documents WHERE form = ? AND key = ?", gone)

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            with suppress(sqlite3.Error):  # everything was committed before
                self._open.close()
        self._open = None

    def _start(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not self._opened(file):
                log.warning("the index %s is of another ledger or version: it is thrown away and made anew", file)
                self._throw_away(file)
                self._opened(file)
        except sqlite3.Error as error:
            self._failed(error)
        except OSError as error:
            self._give_up(error)

    def _opened(self, file: Path) -> bool:
        """Open the file; False if it is of another ledger, pipeline or schema."""
        # No write-ahead log: that does not work on a shared volume.
        self._open = sqlite3.connect(file, timeout=_WAIT_SECONDS, isolation_level=None)
        self._open.execute("BEGIN IMMEDIATE")
        self._open.execute(_ABOUT)
        about = self._open.execute("SELECT schema, ledger, pipeline FROM about").fetchall()
        if not about:
            self._open.execute("INSERT INTO about VALUES (?, ?, ?)", self._about)
        self._open.execute(_ROWS)
        self._open.execute("COMMIT")
        return about in ([], [self._about])

    def _throw_away(self, file: Path) -> None:
        self.close()
        for path in (file.with_name(f"{file.name}-journal"), file):
            path.unlink(missing_ok=True)

    def _rebuild(self, file: Path, error: Exception) -> None:
        """Make a damaged file anew; without an index if that fails too."""
        log.warning("the index %s is damaged (%s): it is thrown away and made anew", file, error)
        try:
            self._throw_away(file)
            self._opened(file)
        except (sqlite3.Error, OSError) as again:
            self._give_up(again)

    def _give_up(self, error: Exception) -> None:
        log.warning("the index %s cannot be used (%s): documents are read from the ledger instead", self._file, error)
        self.close()

    def _ask(self, text: str, values: tuple[str, ...]) -> list[Any]:
        if self._open is None:
            return []
        try:
            return self._open.execute(text, values).fetchall()
        except sqlite3.Error as error:
            self._failed(error)
            return []

    def _change(self, text: str, rows: Sequence[tuple[object, ...]]) -> None:
        if self._open is None or not rows:
            return
        try:
            self._open.execute("BEGIN IMMEDIATE")
            self._open.executemany(text, rows)
            self._open.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(error)

    def _failed(self, error: sqlite3.Error) -> None:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without the extension of the code
        if self._file is not None and code in _DAMAGE:
            self._rebuild(self._file, error)
        else:
            self._give_up(error)


@contextmanager
def opened(folder: Path | None, ledger: str, pipeline: str) -> Iterator[LedgerIndex]:
    """The index of a pipeline in `folder`, one file for each ledger and pipeline; without a folder, one that knows nothing."""
    name = f"{pipeline}-{hashlib.sha256(ledger.encode()).hexdigest()[:16]}.sqlite"
    index = LedgerIndex(folder / name if folder else None, ledger, pipeline)
    try:
        yield index
    finally:
        index.close()


def _packed(facts: DocumentFacts) -> bytes:
    # A file's name that is no UTF-8 is in a directory's listing with surrogates.
    return zlib.compress("\0".join(facts).encode(errors="surrogatepass")) if facts else b""


def _unpacked(packed: bytes) -> DocumentFacts:
    return tuple(zlib.decompress(packed).decode(errors="surrogatepass").split("\0")) if packed else ()


def _digest(form: str, version: DocumentVersion, packed: bytes) -> bytes:
    about = "\0".join((form, version.key, version.etag, str(version.size)))
    return hashlib.sha256(about.encode() + b"\0" + packed).digest()
