"""The history of a pipeline: its recorded runs, and the days whose raw data has changed since."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from retrain.run.manifest import RawObject, day_of
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


def stale_days(held: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """The days with raw objects that were changed, deleted or added since a run read them, sorted.

    Args:
        held: the ETags of the raw objects that the run read, by key.
        present: the ETags of the raw objects of its window now, by key, without markers.
    """
    return sorted({day_of(key) for key in {*held, *present} if held.get(key) != present.get(key)})


class PresentRaw:
    """The raw objects of many days as one listing found them. A day without the marker has not landed: its objects do not count."""

    def __init__(self, listing: Iterable[RawObject], marker: str) -> None:
        """Sort a listing of raw objects, whose keys begin with `dt=<day>/`, by day. `marker` is the name of the object written last."""
        self._of_days: dict[str, dict[str, str]] = {}
        landed: set[str] = set()
        for item in listing:
            day = day_of(item.key)
            if item.key.endswith(f"/{marker}"):
                landed.add(day)
            else:
                self._of_days.setdefault(day, {})[item.key] = item.etag
        self._of_days = {day: etags for day, etags in self._of_days.items() if day in landed}

    def of_days(self, days: Iterable[str]) -> dict[str, str]:
        """The ETags of the objects of these days, by key."""
        return {key: etag for day in days for key, etag in self._of_days.get(day, {}).items()}
