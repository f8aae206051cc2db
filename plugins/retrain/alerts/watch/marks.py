"""How much of each incident one channel has delivered already."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import Field, asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from retrain.alerts.watch.documents import DocumentFolder, parser

log = logging.getLogger(__name__)

_VERSION = 1  # not written yet, so that an older watch can read the marks


class Mark(Protocol):
    """A dataclass whose other fields have defaults. `id` is the incident's or the digest's."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def id(self) -> str: ...


M = TypeVar("M", bound=Mark)


class Marks(Generic[M]):
    """One mark per incident or digest. Belongs to one channel; only its thread writes."""

    def __init__(self, folder: Path, kind: Callable[..., M]) -> None:
        self._documents = DocumentFolder(folder)
        self._kind = kind
        self._known = {mark.id: mark for mark in self._documents.read(parser(kind, _VERSION, unversioned=_VERSION))}

    def of(self, identifier: str) -> M:
        """The mark of an incident; an empty one if nothing of it was delivered."""
        return self._known.get(identifier) or self._kind(id=identifier)

    def all(self) -> list[M]:
        """Every mark, in no order. May be called from other threads."""
        return list(self._known.values())

    def save(self, mark: M) -> None:
        """Save the mark. On a full disk it is logged and kept in memory: delivering matters more than recording, at the price
        of a repeat after a restart.
        """
        self._known[mark.id] = mark
        try:
            self._documents.write(mark.id, json.dumps(asdict(mark), indent=1) + "\n")
        except OSError:
            log.exception("The mark of %s could not be saved. Free some space below %s.", mark.id, self._documents.path)

    def forget(self, identifier: str) -> None:
        if self._known.pop(identifier, None) is not None:
            self._documents.remove(identifier)
