"""Which data stage prepare refuses, quarantines or accepts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import CALM, Params, copy_pipeline, run_in

from pipeline.errors import DataRefusedError
from pipeline.prepare import CONTRACT, prepare

DAY = "dt=2020-03-05/part-0.parquet"
EARLIER = "dt=2020-03-03/part-0.parquet"


def outcome(raw: Path, params: dict[str, Any], partition: date = CALM) -> dict[str, Any]:
    out = raw.parent
    return prepare(partition, params, raw=raw, trips=out / "trips", quarantine=out / "quarantine.parquet")


def change(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path)


def replaced(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, values)


@pytest.mark.parametrize("column", sorted(CONTRACT))
def test_missing_column_is_refused_by_name(column: str, few_days: Path, params: Params) -> None:
    change(few_days / DAY, pq.read_table(few_days / DAY).drop_columns([column]))
    with pytest.raises(DataRefusedError, match=rf"{DAY} has no column {column} "):
        outcome(few_days, params("prepare"))


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        pytest.param("trip_distance", pa.string(), id="a number as text"),
        pytest.param("pickup_datetime", pa.string(), id="a time as text"),
        pytest.param("dropoff_datetime", pa.timestamp("us", "UTC"), id="a time with a zone"),
        pytest.param("pickup_location_id", pa.float64(), id="a zone id as a fraction"),
        pytest.param("store_and_fwd_flag", pa.null(), id="text without a single value"),
    ],
)
def test_retyped_column_is_refused_by_name_and_type(
    column: str, kind: pa.DataType, few_days: Path, params: Params
) -> None:
    table = pq.read_table(few_days / DAY)
    values = pa.nulls(table.num_rows) if pa.types.is_null(kind) else pc.cast(table[column], kind)
    change(few_days / DAY, replaced(table, column, values))
    if pa.types.is_null(kind):
        assert outcome(few_days, params("prepare"))["rows_clean"] > 800
    else:
        with pytest.raises(
            DataRefusedError, match=rf"{DAY} has column {column} of type {kind}, expected".replace("[", r"\[")
        ):
            outcome(few_days, params("prepare"))


def spread(day: Path, names: Sequence[str]) -> None:
    """Write the rows of a day's only file as files with these names, one part of the rows after the other."""
    table = pq.read_table(day / "part-0.parquet")
    (day / "part-0.parquet").unlink()
    size = -(-table.num_rows // len(names))
    for number, name in enumerate(names):
        (day / name).parent.mkdir(exist_ok=True)
        pq.write_table(table.slice(number * size, size), day / name)


def outputs(folder: Path) -> dict[str, bytes]:
    found = [folder / "quarantine.parquet", *sorted((folder / "trips").rglob("*.parquet"))]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_day_in_several_files_of_any_name_gives_the_same_bytes_as_in_one(few_days: Path, params: Params) -> None:
    whole, before = outcome(few_days, params("prepare")), outputs(few_days.parent)
    spread(few_days / "dt=2020-03-05", ["2020-03-05.parquet", "hour=07/x", "part-00010-ab.snappy.parquet", "part-2"])
    spread(few_days / "dt=2020-03-03", ["a.parquet"])
    assert outcome(few_days, params("prepare")) == whole
    assert outputs(few_days.parent) == before


def test_the_files_of_a_day_are_read_in_the_order_of_their_names(few_days: Path, params: Params) -> None:
    outcome(few_days, params("prepare"))
    in_order = outputs(few_days.parent)
    spread(few_days / "dt=2020-03-05", ["z", "a"])
    outcome(few_days, params("prepare"))
    other = outputs(few_days.parent)
    assert [name for name in other if other[name] != in_order[name]] == ["quarantine.parquet", f"trips/{DAY}"]


@pytest.mark.parametrize("name", ["part-1.csv", "notes/README", "part-1.parquet"])
def test_a_file_beside_the_others_that_is_not_parquet_is_refused_by_name(
    name: str, few_days: Path, params: Params
) -> None:
    path = few_days / "dt=2020-03-05" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("pickup,dropoff\n1,2\n")
    with pytest.raises(DataRefusedError, match=rf"dt=2020-03-05/{name} cannot be read as Parquet"):
        outcome(few_days, params("prepare"))


def test_a_day_in_several_files_is_judged_as_a_whole_and_named_by_its_folder(few_days: Path, params: Params) -> None:
    limits = {**params("prepare"), "max_quarantined": 1.0}
    change(few_days / DAY, pq.read_table(few_days / DAY).slice(0, 25))
    spread(few_days / "dt=2020-03-05", ["a", "b"])
    assert outcome(few_days, limits)["rows_read"] == 25
    (few_days / "dt=2020-03-05" / "b").unlink()
    change(few_days / "dt=2020-03-05" / "c", pq.read_table(few_days / "dt=2020-03-05" / "a").slice(0, 0))
    with pytest.raises(DataRefusedError, match=r"/dt=2020-03-05 has 13 rows .* fewer than the floor of 20"):
        outcome(few_days, limits)


@pytest.mark.parametrize("content", [b"", b"PAR1 this is no Parquet", None], ids=["empty", "text", "cut short"])
def test_unreadable_file_is_refused_by_name(content: bytes | None, few_days: Path, params: Params) -> None:
    path = few_days / DAY
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(DataRefusedError, match=f"{DAY} cannot be read as Parquet"):
        outcome(few_days, params("prepare"))


def test_file_broken_in_its_middle_is_refused_by_name(few_days: Path, params: Params) -> None:
    path = few_days / DAY
    content = bytearray(path.read_bytes())
    content[100:3000] = bytes(2900)
    path.write_bytes(bytes(content))
    with pytest.raises(DataRefusedError, match=f"{DAY} cannot be read as Parquet"):
        outcome(few_days, params("prepare"))


def test_broken_file_elsewhere_in_the_window_is_refused_by_its_own_name(few_days: Path, params: Params) -> None:
    (few_days / EARLIER).write_bytes(b"broken")
    with pytest.raises(DataRefusedError, match=f"{EARLIER} cannot be read as Parquet"):
        outcome(few_days, params("prepare"))


def test_partition_without_rows_is_refused(few_days: Path, params: Params) -> None:
    change(few_days / DAY, pq.read_table(few_days / DAY).slice(0, 0))
    with pytest.raises(DataRefusedError, match=f"{DAY} is empty: 0 rows"):
        outcome(few_days, params("prepare"))


def test_partition_below_the_floor_is_refused_and_at_the_floor_accepted(few_days: Path, params: Params) -> None:
    limits = {**params("prepare"), "max_quarantined": 1.0}
    table = pq.read_table(few_days / DAY)
    change(few_days / DAY, table.slice(0, 19))
    with pytest.raises(DataRefusedError, match=r"has 19 rows .* fewer than the floor of 20"):
        outcome(few_days, limits)
    change(few_days / DAY, table.slice(0, 25))
    assert outcome(few_days, limits)["rows_read"] == 25


def test_a_real_day_of_the_shutdown_is_below_the_floor(raw: Path, params: Params, tmp_path: Path) -> None:
    day = tmp_path / "raw" / "dt=2020-03-28"
    day.mkdir(parents=True)
    (day / "part-0.parquet").write_bytes((raw / "dt=2020-03-28" / "part-0.parquet").read_bytes())
    with pytest.raises(DataRefusedError, match="has 17 rows"):
        outcome(tmp_path / "raw", params("prepare"), date(2020, 3, 28))


def test_days_before_the_partition_may_be_below_the_floor(few_days: Path, params: Params) -> None:
    change(few_days / EARLIER, pq.read_table(few_days / EARLIER).slice(0, 2))
    assert outcome(few_days, params("prepare"))["rows_clean"] > 800


def test_partition_that_is_mostly_bad_is_refused_with_column_and_an_example(few_days: Path, params: Params) -> None:
    table = pq.read_table(few_days / DAY)
    change(few_days / DAY, replaced(table, "trip_distance", pa.array([-7.5] * table.num_rows)))
    with pytest.raises(DataRefusedError, match=r"100%, limit 25% .* for distance, such as trip_distance -7\.5"):
        outcome(few_days, params("prepare"))


def test_partition_that_the_manifest_lacks_is_refused(few_days: Path, params: Params) -> None:
    with pytest.raises(DataRefusedError, match=r"dt=2020-03-06 has no file: the manifest does not name"):
        outcome(few_days, params("prepare"), date(2020, 3, 6))


def test_each_bad_row_is_set_aside_under_one_reason(few_days: Path, params: Params) -> None:
    table = pq.read_table(few_days / DAY)
    before = outcome(few_days, params("prepare"))["quarantined"]
    row = {name: table.slice(0, 1)[name][0].as_py() for name in table.column_names}
    spoilt = [
        {**row, "pickup_datetime": None},
        {**row, "trip_distance": None},
        {**row, "pickup_datetime": row["pickup_datetime"].replace(year=2009)},
        {**row, "pickup_location_id": 264},
        {**row, "dropoff_location_id": 265, "trip_distance": -1.0},
        {**row, "dropoff_datetime": row["pickup_datetime"]},
        {**row, "trip_distance": 101.0},
        {**row, "dropoff_datetime": row["pickup_datetime"] + timedelta(minutes=170), "trip_distance": 0.02},
    ]
    change(few_days / DAY, pa.concat_tables([table, pa.Table.from_pylist(spoilt, table.schema)]))
    after = outcome(few_days, params("prepare"))
    more = {reason: after["quarantined"][reason] - count for reason, count in before.items()}
    assert more == {
        "missing_value": 2,
        "pickup_date": 1,
        "pickup_zone": 1,
        "dropoff_zone": 1,
        "duration": 1,
        "distance": 1,
        "speed": 1,
    }
    assert sum(more.values()) == len(spoilt)
    assert (
        after["rows_read"] == table.num_rows + len(spoilt) == after["rows_clean"] + sum(after["quarantined"].values())
    )
    aside = pq.read_table(few_days.parent / "quarantine.parquet").to_pandas()
    assert len(aside) == sum(after["window"]["quarantined"].values())


def test_missing_passengers_and_vendor_are_kept(few_days: Path, params: Params) -> None:
    table = pq.read_table(few_days / DAY)
    nothing = pa.nulls(table.num_rows, pa.int64())
    before = outcome(few_days, params("prepare"))["rows_clean"]
    change(few_days / DAY, replaced(replaced(table, "passenger_count", nothing), "vendor_id", nothing))
    assert outcome(few_days, params("prepare"))["rows_clean"] == before


def test_every_real_day_keeps_the_contract_and_most_of_its_rows(trips: Path, raw: Path) -> None:
    read = sum(pq.read_metadata(path).num_rows for path in raw.glob("dt=*/part-0.parquet"))
    clean = sum(pq.read_metadata(path).num_rows for path in trips.glob("dt=*/part-0.parquet"))
    assert 0.96 < clean / read < 0.98


def test_an_unchanged_day_is_the_same_bytes_whatever_lies_beside_it(few_days: Path, params: Params) -> None:
    outcome(few_days, params("prepare"))
    first = (few_days.parent / "trips" / DAY).read_bytes()
    change(few_days / EARLIER, pq.read_table(few_days / EARLIER).slice(0, 100))
    outcome(few_days, params("prepare"))
    assert (few_days.parent / "trips" / DAY).read_bytes() == first


def test_the_stage_exits_65_with_one_sentence_as_its_last_line(few_days: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    copy_pipeline(checkout)
    (checkout / "run.yaml").write_text('schema_version: 1\npipeline: trip_duration\npartition: "2020-03-05"\n')
    change(few_days / DAY, pq.read_table(few_days / DAY).drop_columns(["trip_distance"]))
    few_days.rename(checkout / "data_raw")
    (checkout / "data").mkdir()
    (checkout / "data_raw").rename(checkout / "data" / "raw")
    done = run_in(checkout, "python", "-m", "pipeline.prepare")
    assert done.returncode == 65
    sentence = done.stderr.strip().splitlines()
    assert len(sentence) == 1
    assert sentence[0].startswith(f"data/raw/{DAY} has no column trip_distance")
    assert sentence[0].endswith("land the partition again with it.")
