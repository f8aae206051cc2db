"""A signal's facts, read with patience: what is missing or of another type is unknown, and never an error. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"
_UNREADABLE = 10**15


@dataclass(frozen=True)
class Facts:
    """What a message says, by name. What it gives is data still: whoever shows it escapes it."""

    all: Mapping[str, Any]

    def has(self, name: str) -> bool:
        return self.all.get(name) not in (None, "", [], {})

    def text(self, name: str, otherwise: str = "") -> str:
        """A fact as one string; `otherwise` when there is none."""
        value = self.all.get(name)
        return otherwise if value is None or isinstance(value, Mapping | list | tuple) or value == "" else str(value)

    def number(self, name: str, digits: int = 2) -> str:
        """A number with so many decimals, a whole one with none; anything else is unknown."""
        return number(self.all.get(name), digits)

    def part(self, name: str) -> Facts:
        """A fact that has facts of its own."""
        value = self.all.get(name)
        return Facts(value if isinstance(value, Mapping) else {})

    def parts(self, name: str) -> list[Facts]:
        return [Facts(value) for value in self._many(name) if isinstance(value, Mapping)]

    def texts(self, name: str) -> list[str]:
        return [str(value) for value in self._many(name) if isinstance(value, str) and value.strip()]

    def numbers(self, name: str) -> list[float]:
        return [v for v in self._many(name) if isinstance(v, float) and math.isfinite(v)]

    def _many(self, name: str) -> Sequence[Any]:
        value = self.all.get(name)
        return value if isinstance(value, list | tuple) else []


def number(value: object, digits: int = 2) -> str:
    """A number as people read it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNKNOWN
    if not abs(value) < _UNREADABLE:  # nor is what is no number at all
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"
