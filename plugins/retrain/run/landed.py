"""Which days of the raw data have landed: one rule for the sensor, the manifest, the history and the watch.

With a marker in the partition's folder, or with the date in its key, a day has landed when its marker is there. One marker of
several days says so of all objects that are not newer than it. Without a marker a day has landed when it has objects, and the
newest of them is older than the quiet time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from retrain.deployment.sections import Raw
from retrain.run.raw_layout import RawLayout, filled


class Written(Protocol):
    """A raw object of a listing: its key below `raw.url`, its size in bytes, the time of its last write."""

    @property
    def key(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def written(self) -> datetime: ...


Listed = TypeVar("Listed", bound=Written)


@dataclass(frozen=True)
class LandingRule:
    """How a day of raw data is seen to have landed. `quiet` is None where a marker shows it."""

    layout: RawLayout = field(default_factory=RawLayout)
    quiet: timedelta | None = None

    @classmethod
    def of(cls, raw: Raw) -> LandingRule:
        """The rule of a pipeline's file."""
        quiet = None if raw.quiet_minutes is None else timedelta(minutes=raw.quiet_minutes)
        return cls(RawLayout.of(raw), quiet)

    def prefixes(self, day: str) -> tuple[str, ...]:
        """The beginnings of the keys that show whether a day has landed. It has not if there is no key with one of them."""
        layout = self.layout
        if layout.marker is None:
            return (layout.prefix_of(day),)
        if layout.marker_is_dated:
            return (layout.marker_prefix_of(day),)
        return (layout.prefix_of(day), layout.marker_prefix_of(day))

    def awaited(self, url: str, day: str) -> str:
        """What has to be in S3 for a day to have landed, in words."""
        layout, data = self.layout, f"{url}/{filled(self.layout.pattern, day)}"
        if self.quiet is not None:
            return f"objects of {data}, and then none for {self.quiet // timedelta(minutes=1)} minutes"
        marker = f"{url}/{layout.marker_of(day)}"
        return marker if layout.marker_is_dated else f"objects of {data}, and then {marker}, not older than they are"


def data_by_day(layout: RawLayout, listing: Collection[Listed]) -> dict[str, list[Listed]]:
    """The objects that are data, by day. An empty object is none if other keys lie below its own: it stands for their folder."""
    empty = {each.key for each in listing if each.size == 0}
    folders = {above for each in listing for above in _above(each.key) if above in empty} if empty else set[str]()
    found: dict[str, list[Listed]] = defaultdict(list)
    for each in listing:
        day = layout.day_of(each.key)
        if day is not None and each.key not in folders:
            found[day].append(each)
    return dict(found)


def _above(key: str) -> Iterator[str]:
    """The folders of a key."""
    end = key.rfind("/")
    while end > 0:
        yield key[:end]
        end = key.rfind("/", 0, end)


def landed(
    rule: LandingRule, listing: Collection[Listed], days: Iterable[str], now: datetime
) -> dict[str, list[Listed]]:
    """The days among `days` that have landed, each with its data.

    Args:
        rule: the rule of the pipeline's file.
        listing: the raw objects of these days, and their markers.
        days: partitions (YYYY-MM-DD).
        now: the time by S3's clock when it listed them, or before.
    """
    layout, data = rule.layout, data_by_day(rule.layout, listing)
    if rule.quiet is not None:
        before = now - rule.quiet
        return {day: data[day] for day in days if day in data and _newest(data[day]) <= before}
    markers: dict[str, datetime] = {}
    for each in listing:
        marked = layout.marked(each.key)
        if marked is not None:
            markers[marked] = max(each.written, markers.get(marked, each.written))
    if layout.marker_is_dated:
        return {day: data.get(day, []) for day in days if day in markers}
    return {
        day: data[day]
        for day in days
        if day in data and (marker := markers.get(layout.marked_days(day))) and marker >= _newest(data[day])
    }


def _newest(objects: Iterable[Written]) -> datetime:
    return max(each.written for each in objects)
