"""The result of a task of the housekeeping: how much it freed and how much stays, place by place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SCHEMA_VERSION = 1
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Amount:
    """Files and their sizes in bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.bytes + other.bytes)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.files - other.files, self.bytes - other.bytes)

    def shrunk_to(self, after: Amount) -> Amount:
        """What a program freed that may also have written files of its own: never less than nothing."""
        return Amount(max(self.files - after.files, 0), max(self.bytes - after.bytes, 0))

    def __str__(self) -> str:
        return f"{in_words(self.bytes)} in {self.files:,} file{'s' * (self.files != 1)}"


@dataclass(frozen=True)
class CleanedPlace:
    """A pipeline or a folder. `note` says why nothing was removed, if there is a reason."""

    name: str
    freed: Amount
    stays: Amount
    note: str = ""

    def __str__(self) -> str:
        whole = self.freed.bytes + self.stays.bytes
        return f"{self.name}: {in_words(self.freed.bytes)} of {in_words(whole)}" + (
            f" ({self.note})" if self.note else ""
        )


@dataclass(frozen=True)
class Cleaned:
    """What a task freed. With `dry_run` that is what it would free; nothing was removed."""

    dry_run: bool
    places: tuple[CleanedPlace, ...]

    @property
    def freed(self) -> Amount:
        return sum((place.freed for place in self.places), Amount())

    @property
    def stays(self) -> Amount:
        return sum((place.stays for place in self.places), Amount())

    def line(self) -> str:
        """The result in one line, for the log."""
        verb = "would be freed" if self.dry_run else "freed"
        named = "; ".join(str(place) for place in self.places if place.freed.files or place.note)
        return f"{self.freed} {verb}, {self.stays} stay." + (f" {named}." if named else "")

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values: the totals first, then each place."""
        return {
            "schema_version": SCHEMA_VERSION,
            "summary": self.line(),
            "dry_run": self.dry_run,
            "freed": asdict(self.freed),
            "stays": asdict(self.stays),
            "places": [asdict(place) for place in self.places],
        }


def in_words(size: float) -> str:
    """A size in bytes with a unit, in steps of 1,000: `1.4 GB`."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 - the step between two units
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
