"""What the ledger knows of a pipeline's days, and which of them the raw data has left behind. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from retrain.manifest import Manifest, RawObject
from retrain.run_record import RunRecord, live


@dataclass(frozen=True)
class Line:
    """One recorded run: whether it is the partition's live one, or which run took its place."""

    record: RunRecord
    status: str
    superseded_by: str | None


def lines(records: Iterable[RunRecord]) -> list[Line]:
    """Every run by partition and time; `live` or `superseded`."""
    known = list(records)
    current = {record.run_key for record in live(known)}
    by = {record.supersedes: record.run_key for record in known if record.supersedes}
    ordered = sorted(known, key=lambda record: (record.partition, record.recorded_at))
    return [Line(r, "live" if r.run_key in current else "superseded", by.get(r.run_key)) for r in ordered]


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
