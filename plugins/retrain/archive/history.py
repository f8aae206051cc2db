"""The history of a pipeline: its recorded runs, and the days whose raw data has changed since."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from retrain.run.manifest import Manifest, RawObject
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


def stale_days(manifest: Manifest, present: Mapping[str, RawObject]) -> list[str]:
    """The days with raw objects that were changed, deleted or added since the manifest was made, sorted.

    Args:
        manifest: the raw objects that the run read.
        present: the raw objects of its window now, by key, without markers.
    """
    held = {item.key: item for item in manifest.objects}
    return sorted(
        {
            key.split("/", 1)[0].removeprefix("dt=")
            for key in {*held, *present}
            if (held[key].etag if key in held else None) != (present[key].etag if key in present else None)
        }
    )
