"""The history of a pipeline: its recorded runs, and the days whose raw data has changed since."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from retrain.run.landed import LandingRule, landed
from retrain.run.manifest import ListedRaw
from retrain.run.raw_layout import RawLayout
from retrain.run.run_record import RunRecord, counting


@dataclass(frozen=True)
class RecordedRun:
    """A recorded run with its status: `live` if it is the run of its day that counts, else `superseded`.

    `superseded_by`: the run key of the run that counts instead. `pruned`: its objects were removed.
    """

    record: RunRecord
    status: str
    superseded_by: str | None
    pruned: bool


def runs(records: Iterable[RunRecord], counts: Mapping[str, str], pruned: Container[str] = ()) -> list[RecordedRun]:
    """Every run with its status, by partition and time of recording.

    Args:
        records: all records of some partitions.
        counts: the run key that counts, by partition, as for `run_record.counting`.
        pruned: the run keys whose objects were removed.
    """
    known = sorted(records, key=lambda record: (record.partition, record.recorded_at))
    live = {record.partition: record.run_key for record in counting(known, counts)}
    return [
        RecordedRun(
            record,
            "live" if record.run_key == live[record.partition] else "superseded",
            None if record.run_key == live[record.partition] else live[record.partition],
            record.run_key in pruned,
        )
        for record in known
    ]


@dataclass(frozen=True)
class ReadRaw:
    """The raw objects that a run read: the pattern of their partitions, and their ETags by key."""

    pattern: str
    etags: Mapping[str, str]


def stale_days(held: ReadRaw, present: Mapping[str, str], layout: RawLayout) -> list[str]:
    """The days with raw objects that were changed, deleted or added since a run read them, sorted.

    Args:
        held: what the run read.
        present: the ETags of the raw objects of its window now, by key, without markers.
        layout: the layout of the objects that are there now.
    """
    layouts = (RawLayout(held.pattern, marker=None), held.etags), (layout, present)
    changed = {key for key in {*held.etags, *present} if held.etags.get(key) != present.get(key)}
    days = {each.day_of(key) for each, etags in layouts for key in changed if key in etags}
    return sorted(day for day in days if day is not None)


class PresentRaw:
    """The raw objects of many days as one listing found them. The objects of a day that has not landed do not count."""

    def __init__(self, rule: LandingRule, listing: Collection[ListedRaw], days: Iterable[str], now: datetime) -> None:
        """Sort a listing by day. The arguments are those of `retrain.run.landed.landed`."""
        self.layout = rule.layout
        self._of_days = {
            day: {each.key: each.object.etag for each in objects}
            for day, objects in landed(rule, listing, days, now).items()
        }

    def of_days(self, days: Iterable[str]) -> dict[str, str]:
        """The ETags of the objects of these days, by key."""
        return {key: etag for day in days for key, etag in self._of_days.get(day, {}).items()}
