"""A monthly trip file, read as a table with the columns and types of a partition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trips.errors import TripFileError

if TYPE_CHECKING:
    import pyarrow as pa

# The official TLC files name the same columns differently.
TLC_NAMES = {
    "VendorID": "vendor_id",
    "tpep_pickup_datetime": "pickup_datetime",
    "tpep_dropoff_datetime": "dropoff_datetime",
    "RatecodeID": "rate_code_id",
    "PULocationID": "pickup_location_id",
    "DOLocationID": "dropoff_location_id",
}
INTEGERS = ("vendor_id", "passenger_count", "rate_code_id", "pickup_location_id", "dropoff_location_id", "payment_type")
TIMES = ("pickup_datetime", "dropoff_datetime")
COLUMNS = (
    "vendor_id",
    "pickup_datetime",
    "dropoff_datetime",
    "passenger_count",
    "trip_distance",
    "rate_code_id",
    "store_and_fwd_flag",
    "pickup_location_id",
    "dropoff_location_id",
    "payment_type",
    "fare_amount",
    "extra",
    "mta_tax",
    "tip_amount",
    "tolls_amount",
    "improvement_surcharge",
    "total_amount",
    "congestion_surcharge",
)


def read_trip_file(source: Path) -> pa.Table:
    """Read one monthly file as a table of COLUMNS: ids as int64, times as timestamp[us], amounts as float64.

    Args:
        source: a CSV sample, or an official TLC yellow-cab Parquet file.

    Raises:
        TripFileError: the file cannot be read, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    schema = _schema()
    try:
        if source.suffix == ".csv":
            # Ids are written as floats ("1.0") in months where some are missing: read them as floats, then cast.
            kinds = {field.name: pa.float64() if pa.types.is_integer(field.type) else field.type for field in schema}
            table = pyarrow.csv.read_csv(
                source, convert_options=pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=True)
            )
        else:
            table = pq.ParquetFile(source).read()
        table = table.rename_columns([TLC_NAMES.get(name, name) for name in table.column_names])
        absent = [name for name in schema.names if name not in table.column_names]
        if absent:
            raise TripFileError(f"{source} has no column {', '.join(absent)}. Is it a yellow-cab trip file?")
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, OSError) as e:
        raise TripFileError(f"{source} cannot be read as a yellow-cab trip file ({e}). Fetch it again.") from e


def _schema() -> pa.Schema:
    import pyarrow as pa

    def kind(name: str) -> pa.DataType:
        if name in TIMES:
            return pa.timestamp("us")
        if name in INTEGERS:
            return pa.int64()
        return pa.string() if name == "store_and_fwd_flag" else pa.float64()

    return pa.schema([(name, kind(name)) for name in COLUMNS])
