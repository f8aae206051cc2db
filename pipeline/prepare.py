"""Stage prepare: check the raw trips, quarantine bad rows with a reason, keep the columns that later stages need.

A file that breaks the contract of the raw data stops the run. A row that cannot be a taxi trip is quarantined and
counted by reason; the run stops if too many rows of the partition are quarantined.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from pipeline import stage
from pipeline.errors import DataRefusedError
from pipeline.window import part_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Accepts = Callable[[pa.DataType], bool]

ROWS_AT_ONCE = 250_000
ZONES = 263  # the TLC zones; 264 and 265 stand for "unknown" and "outside of the city"


def _number(kind: pa.DataType) -> bool:
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind))


def _optional_number(kind: pa.DataType) -> bool:
    # A column without any value has type null, as congestion_surcharge had until it was introduced in 2019.
    return _number(kind) or bool(kinds.is_null(kind))


def _local_time(kind: pa.DataType) -> bool:
    return bool(kinds.is_timestamp(kind)) and kind.tz is None


def _text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_null(kind))


CONTRACT: dict[str, tuple[str, Accepts]] = {
    "vendor_id": ("number", _optional_number),
    "pickup_datetime": ("timestamp without zone", _local_time),
    "dropoff_datetime": ("timestamp without zone", _local_time),
    "passenger_count": ("number", _optional_number),
    "trip_distance": ("number", _number),
    "rate_code_id": ("number", _optional_number),
    "store_and_fwd_flag": ("text", _text),
    "pickup_location_id": ("integer", kinds.is_integer),
    "dropoff_location_id": ("integer", kinds.is_integer),
    "payment_type": ("number", _optional_number),
    "fare_amount": ("number", _number),
    "extra": ("number", _number),
    "mta_tax": ("number", _number),
    "tip_amount": ("number", _number),
    "tolls_amount": ("number", _number),
    "improvement_surcharge": ("number", _number),
    "total_amount": ("number", _number),
    "congestion_surcharge": ("number", _optional_number),
}
"""The columns and types that the data's owner has agreed to; further columns are ignored."""

READ = pa.schema(
    [
        ("pickup_datetime", pa.timestamp("us")),
        ("dropoff_datetime", pa.timestamp("us")),
        ("pickup_location_id", pa.float64()),
        ("dropoff_location_id", pa.float64()),
        ("passenger_count", pa.float64()),
        ("vendor_id", pa.float64()),
        ("trip_distance", pa.float64()),
    ]
)
CLEAN = pa.schema(
    [
        ("pickup_datetime", pa.timestamp("us")),
        ("pickup_location_id", pa.int64()),
        ("dropoff_location_id", pa.int64()),
        ("passenger_count", pa.float64()),
        ("vendor_id", pa.float64()),
        ("distance_mi", pa.float64()),
        ("duration_min", pa.float64()),
    ]
)
"""The clean trips: local time, zone ids, passengers and vendor (missing allowed), miles, minutes."""

REASONS: dict[str, str] = {
    "missing_value": "pickup_datetime",
    "pickup_date": "pickup_datetime",
    "pickup_zone": "pickup_location_id",
    "dropoff_zone": "dropoff_location_id",
    "duration": "dropoff_datetime",
    "distance": "trip_distance",
    "speed": "trip_distance",
}
"""Each reason for quarantine, with the raw column to look at; a row counts under the first reason that fits."""


@dataclass(frozen=True)
class Batch:
    """Rows of some whole partitions: rows read by day, clean rows, and bad rows with a `reason`; both frames have a `day`."""

    rows_read: Mapping[str, int]
    clean: pd.DataFrame
    bad: pd.DataFrame


def raw_files(folder: Path) -> list[Path]:
    """Return the files of a partition's folder, at any depth, in the order of their names; none if there is no folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def read_partition(files: Sequence[Path]) -> pa.Table:
    """Return the rows of the files of one partition, one file after the other, as `read_raw` reads them."""
    first, *others = [read_raw(path) for path in files]
    return pa.concat_tables([first, *others]) if others else first


def read_raw(path: Path) -> pa.Table:
    """Read one raw file, check it against the contract, and return the columns that are needed.

    Raises:
        DataRefusedError: the file cannot be read as Parquet, or a column is missing or of another type.
    """
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as e:
        raise DataRefusedError(f"{path} cannot be read as Parquet ({_first_line(e)}); land the partition again.") from e
    for column, (expected, accepts) in CONTRACT.items():
        position = schema.get_field_index(column)
        if position < 0:
            has = ", ".join(schema.names)
            raise DataRefusedError(f"{path} has no column {column} (it has {has}); land the partition again with it.")
        kind = schema.field(position).type
        if not accepts(kind):
            raise DataRefusedError(
                f"{path} has column {column} of type {kind}, expected {expected}; land the partition again with that type."
            )
    try:
        return file.read(columns=READ.names).select(READ.names).cast(READ)
    except (pa.ArrowException, OSError) as e:
        raise DataRefusedError(f"{path} cannot be read as Parquet ({_first_line(e)}); land the partition again.") from e


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(". ")


def row_schema(params: Mapping[str, Any]) -> pandera.DataFrameSchema:
    """Return the checks that a taxi trip must pass; each check has the name of its reason for quarantine."""

    def within(low: float, high: float, reason: str) -> pandera.Column:
        return pandera.Column(float, pandera.Check.in_range(low, high, error=reason), nullable=True)

    return pandera.DataFrameSchema(
        {
            "missing": pandera.Column(bool, pandera.Check.eq(False, error="missing_value")),
            "other_day": pandera.Column(bool, pandera.Check.eq(False, error="pickup_date")),
            "pickup_location_id": within(1, ZONES, "pickup_zone"),
            "dropoff_location_id": within(1, ZONES, "dropoff_zone"),
            "duration_min": within(params["min_minutes"], params["max_minutes"], "duration"),
            "trip_distance": within(params["min_miles"], params["max_miles"], "distance"),
            "speed_mph": within(params["min_mph"], params["max_mph"], "speed"),
        }
    )


def split(rows: pd.DataFrame, schema: pandera.DataFrameSchema) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split raw rows (columns of READ, and `day`) into clean rows and bad rows; bad rows get a `reason`."""
    rows = rows.assign(duration_min=(rows["dropoff_datetime"] - rows["pickup_datetime"]).dt.total_seconds() / 60)
    rows["speed_mph"] = (rows["trip_distance"] * 60 / rows["duration_min"]).where(rows["duration_min"] > 0)
    needed = ["pickup_datetime", "dropoff_datetime", "pickup_location_id", "dropoff_location_id", "trip_distance"]
    rows["missing"] = rows[needed].isna().any(axis=1)
    rows["other_day"] = rows["pickup_datetime"].notna() & (
        rows["pickup_datetime"].dt.strftime("%Y-%m-%d") != rows["day"]
    )
    try:
        schema.validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as e:
        order = {reason: n for n, reason in enumerate(REASONS)}
        cases = e.failure_cases
        cases = cases.assign(order=cases["check"].map(order)).sort_values("order", kind="stable")
        reason = cases.drop_duplicates("index").set_index("index")["check"]
        bad = rows.loc[sorted(reason.index)].assign(reason=reason)
        rows = rows.drop(index=bad.index)
        return rows.rename(columns={"trip_distance": "distance_mi"}), bad
    return rows.rename(columns={"trip_distance": "distance_mi"}), rows.iloc[:0].assign(reason="")


def batches(raw: Path, params: Mapping[str, Any]) -> Iterator[Batch]:
    """Read and split all partitions below `raw`, whole partitions at a time, in the order of their days."""
    schema = row_schema(params)
    tables: dict[str, pa.Table] = {}

    def batch() -> Batch:
        frames = [table.to_pandas().assign(day=day) for day, table in tables.items()]
        clean, bad = split(pd.concat(frames, ignore_index=True), schema)
        return Batch({day: table.num_rows for day, table in tables.items()}, clean, bad)

    for folder in sorted(raw.glob("dt=*")):
        if files := raw_files(folder):
            tables[folder.name.removeprefix("dt=")] = read_partition(files)
        if sum(table.num_rows for table in tables.values()) >= ROWS_AT_ONCE:
            yield batch()
            tables.clear()
    if tables:
        yield batch()


def judge(path: Path, rows_read: int, bad: pd.DataFrame, params: Mapping[str, Any]) -> None:
    """Refuse a partition that is empty, below the floor, or mostly bad.

    Args:
        path: the partition's raw file, or its folder if it has several, for the message.
        rows_read: the partition's number of rows.
        bad: its quarantined rows.
        params: section `prepare`.

    Raises:
        DataRefusedError: one sentence that names file, column and value.
    """
    if rows_read == 0:
        raise DataRefusedError(f"{path} is empty: 0 rows in column pickup_datetime; land the partition again.")
    if rows_read < params["min_rows"]:
        raise DataRefusedError(
            f"{path} has {rows_read} rows in column pickup_datetime, fewer than the floor of {params['min_rows']} "
            "(prepare.min_rows); land the whole partition, or skip the day."
        )
    share = len(bad) / rows_read
    if share > params["max_quarantined"]:
        reason, count = Counter(bad["reason"]).most_common(1)[0]
        column = REASONS[reason]
        example = bad.loc[bad["reason"] == reason, column].iloc[0]
        raise DataRefusedError(
            f"{path} has {len(bad)} of {rows_read} rows in quarantine ({share:.0%}, limit {params['max_quarantined']:.0%} "
            f"in prepare.max_quarantined), {count} for {reason}, such as {column} {example}; correct and land it again."
        )
    if rows_read - len(bad) < params["min_rows"]:
        raise DataRefusedError(
            f"{path} has {rows_read - len(bad)} clean rows in column trip_distance, fewer than the floor of "
            f"{params['min_rows']} (prepare.min_rows); land the whole partition, or skip the day."
        )


def write_clean(clean: pd.DataFrame, out: Path) -> None:
    """Write one file per day. Its bytes depend on that day only, so that DVC stores an unchanged day once."""
    for day, rows in clean.groupby("day", sort=True):
        target = part_path(out, date.fromisoformat(str(day)))
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pandas(rows, CLEAN, preserve_index=False).replace_schema_metadata(), target)


def quality(rows_read: int, reasons: Mapping[str, int]) -> dict[str, Any]:
    """Return the counts as metrics. Every reason is present, so that two days can be compared."""
    quarantined = {reason: int(reasons.get(reason, 0)) for reason in REASONS}
    clean = rows_read - sum(quarantined.values())
    return {"rows_read": rows_read, "rows_clean": clean, "quarantined": quarantined}


def prepare(partition: date, params: Mapping[str, Any], *, raw: Path, trips: Path, quarantine: Path) -> dict[str, Any]:
    """Write clean trips and quarantine; return the counts of the partition, and under `window` those of all days.

    Raises:
        DataRefusedError: a file breaks the contract, or the partition is refused.
    """
    day = partition.isoformat()
    folder = raw / f"dt={day}"
    files = raw_files(folder)
    if not files:
        raise DataRefusedError(
            f"{folder} has no file: the manifest does not name the partition; land {partition} first."
        )
    rows_read: Counter[str] = Counter()
    bad = []
    for batch in batches(raw, params):
        rows_read.update(batch.rows_read)
        bad.append(batch.bad)
        write_clean(batch.clean, trips)
    aside = pd.concat(bad, ignore_index=True)
    judge(files[0] if len(files) == 1 else folder, rows_read[day], aside[aside["day"] == day], params)
    aside = aside[["day", "reason", *READ.names, "duration_min", "speed_mph"]]
    pq.write_table(pa.Table.from_pandas(aside, preserve_index=False).replace_schema_metadata(), quarantine)
    counts = quality(rows_read[day], Counter(aside.loc[aside["day"] == day, "reason"]))
    return {**counts, "window": quality(rows_read.total(), Counter(aside["reason"]))}


def main() -> None:
    """Read `data/raw`; write `data/trips`, `data/quarantine.parquet` and `reports/quality.json`."""
    counts = prepare(
        stage.read_partition(),
        stage.read_params("prepare"),
        raw=stage.RAW,
        trips=stage.TRIPS,
        quarantine=stage.QUARANTINE,
    )
    stage.write_json(stage.REPORTS / "quality.json", counts)


if __name__ == "__main__":
    sys.exit(stage.run(main))
