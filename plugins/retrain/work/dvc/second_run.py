"""The stages that a second run of the same day would skip, as DVC's run cache answers. `infra/dvc/second_run.py` asks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class SecondRun:
    """One stage in a second run of the same commit and day. `reason` says why DVC would run it again; None if DVC would skip it.

    `after` names the stages before it that run again: the answer holds if these write the same bytes.
    """

    name: str
    reason: str | None
    after: tuple[str, ...]

    @property
    def skipped(self) -> bool:
        return self.reason is None

    @classmethod
    def from_json(cls, text: str) -> tuple[Self, ...]:
        """Read the document of `infra/dvc/second_run.py`. ValueError if it is none."""
        try:
            return tuple(
                cls(entry["name"], entry["reason"], tuple(entry["after"])) for entry in json.loads(text)["stages"]
            )
        except (LookupError, TypeError) as error:
            raise ValueError(f"not the answer of second_run.py: {error!r}") from error
