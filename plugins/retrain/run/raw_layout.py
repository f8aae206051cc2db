"""Which raw objects belong to which day: the pattern `raw.partition` and the marker, read in both directions.

The pattern is that of a key below `raw.url`, or of one of its folders, with the date as `{partition}` (YYYY-MM-DD) or as `{year}`,
`{month}` and `{day}`; `*` stands for any characters but a slash:

- `dt={partition}`, `year={year}/month={month}/day={day}`, `{year}/{month}/{day}`: all objects in a folder, at any depth;
- `trips_{year}{month}{day}.csv`, `*/orders-{partition}-*.csv`: files with the date in their names.

Files and folders that begin with a dot or an underscore are hidden, as for Spark and Hive: no producer means them as data. The same
holds for the empty objects that stand for folders. A pattern that begins so itself, such as `_raw/dt={partition}`, hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from retrain.deployment.sections import DEFAULT_PARTITION, Raw
from retrain.deployment.values import DATE_PARTS
from retrain.errors import PartitionError
from retrain.run import partition

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TOKEN = re.compile(r"\{(?P<part>\w+)\}|(?P<any>\*)|(?P<text>[^{*]+)")
_FOLDER_OBJECT = "_$folder$"  # as Hadoop writes it
_HIDDEN = (".", "_")
_YEAR_MONTH_DAY = ("year", "month", "day")


@dataclass(frozen=True)
class RawLayout:
    """The keys of raw partitions. `marker` is None where a partition has none. All keys are relative to `raw.url`."""

    pattern: str = DEFAULT_PARTITION
    marker: str | None = "_SUCCESS"

    @classmethod
    def of(cls, raw: Raw) -> RawLayout:
        """The layout of a pipeline's file."""
        return cls(raw.partition, raw.marker)

    def day_of(self, key: str) -> str | None:
        """The day whose data an object is.

        None if the pattern does not match, if its date is none, or if the object is a marker, is hidden or stands for a folder.
        """
        found = self._expression.match(key)
        if found is None or key.endswith(("/", _FOLDER_OBJECT)) or self._hides(key) or self.marked(key) is not None:
            return None
        return _day_of_parts(found.groupdict())

    def keys_of(self, day: str) -> re.Pattern[str]:
        """Matches each key that may show whether a day has landed: its data, what is hidden among them, and its marker."""
        patterns = [rf"{_dated(filled(self.pattern, day))}(?:/.*)?"]
        if self.marker is not None:
            patterns.append(_dated(filled(self._marker_pattern, day)))
        return re.compile(rf"(?:{'|'.join(patterns)})\Z", re.DOTALL)

    def marker_of(self, day: str) -> str:
        """The key of a day's marker, which may have a `*`. ValueError if the layout has none."""
        return filled(self._marker_pattern, day)

    def marked(self, key: str) -> str | None:
        """The days whose marker an object is, as `marked_days` names them; None if it is no marker."""
        found = self._marker_expression.match(key) if self._marker_expression else None
        if found is None:
            return None
        named = found.groupdict()
        return _day_of_parts(named) if self.marker_is_dated else "-".join(named.values())

    def marked_days(self, day: str) -> str:
        """The name of the days that share their marker with `day`: the day itself, `2020-03` for a month's, empty for all days."""
        if self.marker_is_dated:
            return day
        values = _parts_of(day)
        return "-".join(values[part] for part in dict.fromkeys(_PLACEHOLDER.findall(self._marker_pattern)))

    @property
    def marker_is_dated(self) -> bool:
        """False for a marker of several days: it says that every object that is older than it has landed."""
        return self.marker is not None and _names_a_day(self._marker_pattern)

    def prefix_of(self, day: str) -> str:
        """The beginning that the keys of a day's data share."""
        return _head(self.pattern, day)

    def marker_prefix_of(self, day: str) -> str:
        """The beginning of the key of a day's marker. ValueError if the layout has none."""
        return _head(self._marker_pattern, day)

    @property
    def head(self) -> str:
        """The beginning that the keys of all days' data share."""
        return _static_head(self.pattern)

    @property
    def landing_pattern(self) -> str:
        """The pattern of the keys whose write may let a day land: that of the day's own marker, else that of its data."""
        return self._marker_pattern if self.marker_is_dated else self.pattern

    def listing_range(self, days: Sequence[str]) -> tuple[str, str]:
        """The beginnings of the first and the last key of these days, in the order of S3's listings; other keys may lie between."""
        return _range(self.pattern, days)

    def marker_range(self, days: Sequence[str]) -> tuple[str, str] | None:
        """The same for their markers; None if those are in the partitions' folders, or if there are none."""
        return _range(self.marker[1:], days) if self.marker is not None and self.marker.startswith("/") else None

    def _hides(self, key: str) -> bool:
        ours = self._pattern_parts
        return any(
            part.startswith(_HIDDEN) and not (number < len(ours) and ours[number].startswith(_HIDDEN))
            for number, part in enumerate(key.split("/"))
        )

    @cached_property
    def _pattern_parts(self) -> list[str]:
        return self.pattern.split("/")

    @cached_property
    def _marker_pattern(self) -> str:
        if self.marker is None:
            raise ValueError("this layout has no marker")
        return self.marker[1:] if self.marker.startswith("/") else f"{self.pattern}/{self.marker}"

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(rf"{_dated(self.pattern)}(?:/.*)?\Z", re.DOTALL)

    @cached_property
    def _marker_expression(self) -> re.Pattern[str] | None:
        return None if self.marker is None else re.compile(rf"{_dated(self._marker_pattern)}\Z", re.DOTALL)


def filled(pattern: str, day: str) -> str:
    """The pattern with the date of `day` (YYYY-MM-DD). Other placeholders stay."""
    values = _parts_of(day)
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), pattern)


def _parts_of(day: str) -> dict[str, str]:
    year, month, date = day.split("-")
    return {"partition": day, "year": year, "month": month, "day": date}


def _day_of_parts(named: Mapping[str, str]) -> str | None:
    """The day that the parts of a date name; None if they contradict each other, or name no day of the calendar."""
    text = named.get("partition") or "-".join(named[part] for part in _YEAR_MONTH_DAY)
    if not _is_a_day(text):
        return None
    values = _parts_of(text)
    return text if all(values[part] == value for part, value in named.items()) else None


@lru_cache(maxsize=4096)
def _is_a_day(text: str) -> bool:
    try:
        partition.parse(text)
    except PartitionError:
        return False
    return True


def _names_a_day(pattern: str) -> bool:
    parts = set(_PLACEHOLDER.findall(pattern))
    return "partition" in parts or parts.issuperset(_YEAR_MONTH_DAY)


def _head(pattern: str, day: str) -> str:
    return filled(pattern, day).partition("*")[0]


def _range(pattern: str, days: Sequence[str]) -> tuple[str, str]:
    """The beginnings of the first and the last key that the pattern has for these days."""
    parts = _PLACEHOLDER.findall(pattern.partition("*")[0])
    in_order = dict.fromkeys(part for each in parts for part in (_YEAR_MONTH_DAY if each == "partition" else (each,)))
    if tuple(in_order) == _YEAR_MONTH_DAY[: len(in_order)]:
        return _head(pattern, min(days)), _head(pattern, max(days))
    return _static_head(pattern), _static_head(pattern)


def _static_head(pattern: str) -> str:
    return re.split(r"[*{]", pattern, maxsplit=1)[0]


def _dated(pattern: str) -> str:
    """A regular expression with a group for each part of the date; a part that is named again must be the same.

    A star takes as little as it can: of several dates in a name the first one counts, and `20200309120000` is of 9 March.
    """
    seen: set[str] = set()
    out = []
    for token in _TOKEN.finditer(pattern):
        part = token["part"]
        if part is None:
            out.append("[^/]*?" if token["any"] else re.escape(token["text"]))
        elif part in seen:
            out.append(f"(?P={part})")
        else:
            seen.add(part)
            out.append(f"(?P<{part}>{DATE_PARTS[part]})")
    return "".join(out)
