"""Which raw objects belong to which day: the pattern `raw.partition` and the marker, read in both directions.

The pattern is that of a key below `raw.url`, or of one of its folders, with the date as `{partition}` (YYYY-MM-DD) or as `{year}`,
`{month}` and `{day}`; `*` stands for any characters but a slash:

- `dt={partition}`, `year={year}/month={month}/day={day}`, `{year}/{month}/{day}`: all objects in a folder, at any depth;
- `trips_{year}{month}{day}.csv`, `*/orders-{partition}-*.csv`: files with the date in their names.

Files and folders that begin with a dot or an underscore are hidden, as for Spark and Hive: no producer means them as data. The same
holds for the empty objects that stand for folders.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from retrain.deployment.sections import DEFAULT_PARTITION, Raw
from retrain.deployment.values import DATE_PARTS
from retrain.errors import PartitionError
from retrain.run import partition

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TOKEN = re.compile(r"\{(?P<part>\w+)\}|(?P<any>\*)|(?P<text>[^{*]+)")
_FOLDER_OBJECT = "_$folder$"  # as Hadoop writes it


@dataclass(frozen=True)
class Place:
    """The day of an object, and its key below the part that the pattern matches; empty if the pattern matches the whole key."""

    day: str
    below: str


@dataclass(frozen=True)
class RawLayout:
    """The keys of raw partitions. `marker` is None where a partition has none. All keys are relative to `raw.url`."""

    pattern: str = DEFAULT_PARTITION
    marker: str | None = "_SUCCESS"

    @classmethod
    def of(cls, raw: Raw) -> RawLayout:
        """The layout of a pipeline's file."""
        return cls(raw.partition, raw.marker)

    def place_of(self, key: str) -> Place | None:
        """The day of a key; None if the pattern does not match, if its date is none, or if the object is hidden or stands for a folder."""
        found = self._expression.match(key)
        if found is None or key.endswith(("/", _FOLDER_OBJECT)):
            return None
        below = found["below"] or ""
        if any(part.startswith((".", "_")) for part in below.split("/") if part):
            return None
        named = found.groupdict()
        text = named.get("partition") or f"{named.get('year')}-{named.get('month')}-{named.get('day')}"
        try:
            return Place(partition.parse(text).isoformat(), below)
        except PartitionError:
            return None

    def day_of(self, key: str) -> str | None:
        """The day whose data an object is; None if it is no day's data. A marker is not data."""
        place = self.place_of(key)
        return None if place is None or self.is_marker(key, place.day) else place.day

    def is_marker(self, key: str, day: str) -> bool:
        """True if an object is the marker of a day."""
        return self.marker is not None and re.fullmatch(_glob(self.marker_of(day)), key) is not None

    def marker_of(self, day: str) -> str:
        """The key of a day's marker, which may have a `*`. ValueError if the layout has none."""
        if self.marker is None:
            raise ValueError("this layout has no marker")
        own = self.marker[1:] if self.marker.startswith("/") else f"{self.pattern}/{self.marker}"
        return filled(own, day)

    @property
    def marker_is_dated(self) -> bool:
        """False for one marker of all days: it says that every object that is older than it has landed."""
        return self.marker is None or not self.marker.startswith("/") or bool(_PLACEHOLDER.search(self.marker))

    def prefix_of(self, day: str) -> str:
        """The beginning that the keys of a day share."""
        return filled(self.pattern, day).partition("*")[0]

    def listing_range(self, days: Sequence[str]) -> tuple[str, str]:
        """The beginnings of the first and the last key of these days, in the order of S3's listings; other keys may lie between."""
        if self._in_order:
            return self.prefix_of(min(days)), self.prefix_of(max(days))
        head = re.split(r"[*{]", self.pattern, maxsplit=1)[0]
        return head, head

    @cached_property
    def _in_order(self) -> bool:
        """True if the keys sort as their days do."""
        parts = list(dict.fromkeys(_PLACEHOLDER.findall(self.pattern.partition("*")[0])))
        return parts[:1] == ["partition"] or parts[:3] == ["year", "month", "day"]

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(rf"{_dated(self.pattern)}(?:/(?P<below>.*))?\Z", re.DOTALL)


def filled(pattern: str, day: str) -> str:
    """The pattern with the date of `day` (YYYY-MM-DD). Other placeholders stay."""
    year, month, date = day.split("-")
    values = {"partition": day, "year": year, "month": month, "day": date}
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), pattern)


def _dated(pattern: str) -> str:
    """A regular expression with a group for each part of the date; a part that is named again must be the same."""
    seen: set[str] = set()
    out = []
    for token in _TOKEN.finditer(pattern):
        part = token["part"]
        if part is None:
            out.append("[^/]*" if token["any"] else re.escape(token["text"]))
        elif part in seen:
            out.append(f"(?P={part})")
        else:
            seen.add(part)
            out.append(f"(?P<{part}>{DATE_PARTS[part]})")
    return "".join(out)


def _glob(key: str) -> str:
    return "[^/]*".join(map(re.escape, key.split("*")))
