"""A folder of JSON documents, one file per id."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from retrain.alerts.errors import WatchFileError
from retrain.errors import RetrainError
from retrain.work.files import write_whole

log = logging.getLogger(__name__)

D = TypeVar("D")

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class DocumentFolder:
    path: Path

    def read(self, parse: Callable[[str, str], D]) -> list[D]:
        """All documents. `parse` reads the text of a file, given with the file's name.

        A file that `parse` refuses is renamed to `….broken` and logged: one bad file must not keep the watch from starting.
        """
        found: list[D] = []
        for file in sorted(self.path.glob("[!.]*.json")):
            try:
                found.append(parse(file.read_text("utf-8"), file.name))
            except (RetrainError, ValueError, KeyError, TypeError, AttributeError):
                log.exception("%s was not written by the watch and is renamed to .broken", file)
                file.rename(file.with_suffix(".broken"))
        return found

    def write(self, identifier: str, text: str) -> None:
        """Write or replace a document in one step.

        Raises:
            OSError: the disk did not take it.
        """
        write_whole(self._file(identifier), text.encode())

    def remove(self, identifier: str) -> None:
        """Remove a document, if there is one."""
        self._file(identifier).unlink(missing_ok=True)

    def _file(self, identifier: str) -> Path:
        # The hash keeps ids apart that differ only in characters that a file name cannot hold.
        digest = hashlib.sha256(identifier.encode()).hexdigest()[:12]
        return self.path / f"{_UNSAFE.sub('-', identifier)[:120]}-{digest}.json"


def parser(build: Callable[..., D], newest: int, *, unversioned: int | None = None) -> Callable[[str, str], D]:
    """A `parse` for documents of the versions 1 to `newest`; `build` is called with the fields of the JSON object.

    `unversioned` is the version of documents without the field `schema_version`; if it is None they are refused. `parse` raises
    WatchFileError for any other version.
    """

    def parse(text: str, file: str) -> D:
        fields = json.loads(text)
        version = fields.pop("schema_version", unversioned)
        if not isinstance(version, int) or not 1 <= version <= newest:
            raise WatchFileError(
                f"{file} has schema_version {version!r}, this deployment reads 1 to {newest}. Deploy the version that wrote it."
            )
        return build(**fields)

    return parse
