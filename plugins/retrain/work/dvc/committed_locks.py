"""The dvc.lock files that a release has committed, as far as they do not fit its dvc.yaml. No run uses what they say there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

_NAMED = 3


@dataclass(frozen=True)
class CommittedLock:
    """A dvc.lock by its path. The names are those of entries.

    `unreadable` is DVC's reason for not reading it, else None. `alone`: the dvc.yaml beside it is missing, or has no stages. `gone` have
    no stage; `old` have an MD5 of DVC 2; `other` have other outputs than their stage has.
    """

    file: str
    unreadable: str | None
    alone: bool
    gone: tuple[str, ...]
    old: tuple[str, ...]
    other: tuple[str, ...]

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of the document's `locks`. LookupError or TypeError if it is not one."""
        names = {key: tuple(entry[key]) for key in ("gone", "old", "other")}
        return cls(file=entry["file"], unreadable=entry["unreadable"], alone=entry["alone"], **names)

    @property
    def ignored(self) -> str:
        """A sentence that says which entries a run ignores."""
        if self.unreadable is not None:
            return f"{self.file} is ignored: DVC cannot read it ({self.unreadable})"
        if self.alone:
            return f"{self.file} is ignored: no stage is in the dvc.yaml beside it"
        return f"{self.file} has entries that are ignored: {'; '.join(self._reasons())}"

    def _reasons(self) -> Iterator[str]:
        if self.gone:
            yield f"{_some(self.gone)} (no such stage)"
        if self.old:
            yield f"{_some(self.old)} (MD5s of DVC 2)"
        if self.other:
            yield f"{_some(self.other)} (other outputs than in dvc.yaml)"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
