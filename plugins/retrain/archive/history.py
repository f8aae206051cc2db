"""What the ledger knows of a pipeline's days, and which of them the raw data has left behind. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from retrain.run.manifest import Manifest, RawObject
from retrain.run.run_record import RunRecord, counting


@dataclass(frozen=True)
class RecordedRun:
    """One recorded run: `live` if it is the one of its day that counts, else `superseded` and by which run key.

    `pruned`: its objects were removed.
    """

    record: RunRecord
    status: str
    superseded_by: str | None
    pruned: bool


def runs(records: Iterable[RunRecord], counts: Mapping[str, str], pruned: Container[str] = ()) -> list[RecordedRun]:
    """Every run by partition and time. `counts` as for `run_record.counting`."""
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
    """The days whose raw objects are not any more what the manifest holds: changed, gone, or landed since.

    `present` are the landed objects of the manifest's window by key, without markers.
    """
    held = {item.key: item for item in manifest.objects}
    return sorted(
        {
            key.split("/", 1)[0].removeprefix("dt=")
            for key in {*held, *present}
            if (held[key].etag if key in held else None) != (present[key].etag if key in present else None)
        }
    )
