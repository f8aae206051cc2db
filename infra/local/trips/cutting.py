"""Cut monthly trip files into one Parquet partition per pickup date."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trips.errors import TripFileError
from trips.fetching import fetch
from trips.files import digest, write_if_changed
from trips.partitions import part_path, raw_dir
from trips.progress import Report, silent
from trips.trip_files import read_trip_file

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Cut:
    """The counts of one cut: partitions, their rows, and the rows picked up in a month that no source file covers."""

    partitions: int
    rows: int
    outside: int


def cut(sources: Iterable[Path] | None = None, state: Path | None = None, progress: Report = silent) -> Cut:
    """Cut monthly files into one Parquet partition per pickup date, dirty rows included. The bytes are reproducible.

    A file covers the month in which most of its rows were picked up. Only partitions of covered months are written: a
    few rows picked up in a month that no source file covers would overwrite the partitions of that month. Such rows
    are counted, and kept in `<state>/raw/outside/`. Nothing is done if the last cut had the same sources.

    Args:
        sources: CSV samples or official TLC yellow-cab Parquet files; if None, the samples, fetched if necessary.
        state: the state folder.
        progress: called after each file that is read and each month that is cut.

    Raises:
        TripFileError: a source is not a yellow-cab trip file.
        TripsError: the samples could not be fetched.
    """
    files = sorted(sources) if sources is not None else fetch(state, progress)
    root = raw_dir(state)
    record = root.parent / "cut.json"
    digests = {file.name: digest(file, "sha256") for file in files}
    if last := _last_cut(record, digests, root):
        return last
    tables: dict[Path, pa.Table] = {}
    covered: set[str] = set()
    for number, file in enumerate(files, start=1):
        month, tables[file] = _dated(file)
        covered.add(month)
        progress("Reading trips", number, len(files))
    by_month, outside = _by_month(tables, covered, root.parent / "outside")
    rows = partitions = 0
    for number, month in enumerate(sorted(by_month), start=1):
        for day, table in _by_day(by_month[month]):
            write_if_changed(part_path(day, root), _parquet(table))
            rows, partitions = rows + table.num_rows, partitions + 1
        progress("Cutting days", number, len(by_month))
    result = Cut(partitions, rows, outside)
    write_if_changed(record, json.dumps({"sources": digests, **asdict(result)}, indent=1).encode())
    return result


def _last_cut(record: Path, digests: Mapping[str, str], root: Path) -> Cut | None:
    """The recorded result of the last cut, if it had the same sources and its partitions are still there."""
    if not record.is_file():
        return None
    known = json.loads(record.read_text())
    if known["sources"] != digests or len(list(root.glob("dt=*/part-0.parquet"))) < known["partitions"]:
        return None
    return Cut(known["partitions"], known["rows"], known["outside"])


def _dated(source: Path) -> tuple[str, pa.Table]:
    """The month in which most rows were picked up, and the table with an additional column `day`."""
    import pyarrow.compute as pc

    table = read_trip_file(source)
    table = table.append_column("day", pc.strftime(table["pickup_datetime"], format="%Y-%m-%d"))
    months = Counter({m: n for m, n in _counts(pc.utf8_slice_codeunits(table["day"], 0, 7)) if m is not None})
    if not months:
        raise TripFileError(f"{source} has no row with a pickup time. Fetch it again.")
    return months.most_common(1)[0][0], table


def _by_month(
    tables: Mapping[Path, pa.Table], covered: set[str], outside: Path
) -> tuple[dict[str, list[pa.Table]], int]:
    """The rows of each covered month; the other rows are written into the folder `outside` and counted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    by_month: dict[str, list[pa.Table]] = {month: [] for month in covered}
    others = 0
    for file, table in tables.items():
        month_of = pc.utf8_slice_codeunits(table["day"], 0, 7)
        inside = pc.fill_null(pc.is_in(month_of, value_set=pa.array(sorted(covered))), fill_value=False)
        strays = table.filter(pc.invert(inside)).drop_columns(["day"])
        if strays.num_rows:
            write_if_changed(outside / f"{file.stem}.parquet", _parquet(strays))
            others += strays.num_rows
        for month in pc.unique(month_of.filter(inside)).to_pylist():
            by_month[month].append(table.filter(pc.equal(month_of, month)))
    return by_month, others


def _by_day(tables: list[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """The days of one month, each with its rows in the order of their pickup times."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.concat_tables(tables)
    # The sort is stable, so trips picked up in the same second keep the order of their file.
    table = table.take(pc.sort_indices(table, sort_keys=[("pickup_datetime", "ascending")]))
    start = 0
    for day, count in _counts(table["day"]):
        yield str(day), table.slice(start, count).drop_columns(["day"])
        start += count


def _counts(column: pa.ChunkedArray) -> Iterator[tuple[str | None, int]]:
    for entry in column.value_counts():
        yield entry["values"].as_py(), entry["counts"].as_py()


def _parquet(table: pa.Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
