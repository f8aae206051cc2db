"""The tool that fetches, cuts and lands the trips."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.session import get_session
from conftest import ROOT, SERVERS_PYTHON, STATE

TOOL = ROOT / "infra" / "local" / "trips"


@pytest.fixture
def sample(raw: Path) -> Path:
    assert raw.is_dir()
    return STATE / "downloads" / "yellow_tripdata_sample_2019-03.csv"


@pytest.fixture
def official(sample: Path, tmp_path: Path) -> Path:
    """Return a month of trips as the TLC publishes it: with other column names and types, and one more column."""
    from trips.trip_files import TLC_NAMES, read_trip_file

    table = read_trip_file(sample)
    names = {ours: theirs for theirs, ours in TLC_NAMES.items()}
    table = table.rename_columns([names.get(name, name) for name in table.column_names])
    for name, kind in (("PULocationID", pa.int32()), ("passenger_count", pa.float64())):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(kind))
    path = tmp_path / "yellow_tripdata_2019-03.parquet"
    pq.write_table(table.append_column("airport_fee", pa.nulls(table.num_rows)), path)
    return path


def partitions(state: Path) -> dict[str, bytes]:
    root = state / "raw" / "yellow"
    return {p.parent.name: p.read_bytes() for p in sorted(root.glob("dt=*/part-0.parquet"))}


def test_cutting_keeps_every_row_of_the_covered_month_and_is_the_same_bytes_each_time(
    sample: Path, tmp_path: Path
) -> None:
    import trips

    made = [trips.cut([sample], tmp_path / name) for name in ("once", "again")]
    assert made[0] == made[1]
    assert (made[0].partitions, made[0].rows, made[0].outside) == (31, 9_999, 1)
    assert partitions(tmp_path / "once") == partitions(tmp_path / "again")


def test_official_monthly_files_give_the_same_partitions(sample: Path, official: Path, tmp_path: Path) -> None:
    import trips

    assert trips.cut([official], tmp_path / "official") == trips.cut([sample], tmp_path / "sample")
    assert partitions(tmp_path / "official") == partitions(tmp_path / "sample")


def test_rows_of_another_month_never_overwrite_its_partitions(sample: Path, tmp_path: Path) -> None:
    import trips

    april = sample.with_name("yellow_tripdata_sample_2019-04.csv")
    trips.cut([april], tmp_path)
    before = partitions(tmp_path)
    # The sample of March holds a trip of 12 April.
    assert trips.cut([sample], tmp_path).outside == 1
    assert {day: content for day, content in partitions(tmp_path).items() if day >= "dt=2019-04"} == before
    assert pq.read_table(tmp_path / "raw" / "outside" / "yellow_tripdata_sample_2019-03.parquet").num_rows == 1


def test_dirty_rows_stay_in(raw: Path) -> None:
    rows = pa.concat_tables(pq.read_table(p) for p in sorted(raw.glob("dt=2019-0*/part-0.parquet")))
    frame = rows.to_pandas()
    assert (frame["dropoff_datetime"] <= frame["pickup_datetime"]).sum() > 50
    assert (frame["fare_amount"] < 0).sum() > 50


def test_a_file_that_is_no_trip_file_is_refused_by_name(tmp_path: Path) -> None:
    import trips

    path = tmp_path / "green.parquet"
    pq.write_table(pa.table({"lpep_pickup_datetime": [1]}), path)
    with pytest.raises(trips.TripsError, match=r"green\.parquet has no column vendor_id, pickup_datetime"):
        trips.cut([path], tmp_path)
    path.write_bytes(b"PAR1")
    with pytest.raises(trips.TripsError, match=r"green\.parquet cannot be read"):
        trips.cut([path], tmp_path)


def test_a_truncated_download_is_refused_and_removed(tmp_path: Path) -> None:
    import trips
    from trips.fetching import ARCHIVE

    archive = tmp_path / "downloads" / ARCHIVE
    archive.parent.mkdir()
    archive.write_bytes(b"cut short")
    with pytest.raises(trips.TripsError, match=r"\(9 bytes\), expected .* It was removed"):
        trips.fetch(tmp_path)
    assert not archive.exists()


def test_without_a_network_the_package_and_the_next_step_are_named(tmp_path: Path) -> None:
    environment = {**os.environ, "RETRAIN_STATE": str(tmp_path), "RETRAIN_PIP": "false"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [SERVERS_PYTHON, str(TOOL), "fetch"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "great-expectations==1.24.1" in done.stderr
    assert "Check the network" in done.stderr


def test_inputs_name_each_day_of_the_window_and_end_with_the_partition(raw: Path, tmp_path: Path) -> None:
    import trips

    assert trips.inputs(date(2019, 12, 31), root=tmp_path, state=raw.parents[1]) == 366
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    keys = [entry["key"] for entry in manifest["objects"]]
    assert keys == sorted(keys)
    assert (keys[0], keys[-1]) == ("dt=2018-12-31/part-0.parquet", "dt=2019-12-31/part-0.parquet")
    assert (tmp_path / "run.yaml").read_text().endswith('partition: "2019-12-31"\n')
    assert trips.inputs(date(2018, 1, 2), root=tmp_path, state=raw.parents[1]) == 2


def test_a_manifest_of_inputs_is_one_that_the_deployment_reads(raw: Path, tmp_path: Path) -> None:
    import trips

    from retrain.run.manifest import Manifest

    trips.inputs(date(2018, 1, 2), root=tmp_path, state=raw.parents[1])
    manifest = Manifest.from_json((tmp_path / "manifest.json").read_bytes(), "manifest.json")
    assert (manifest.pipeline, manifest.partition, manifest.root) == ("trip_duration", "2018-01-02", str(raw))
    last = manifest.objects[-1]
    assert last.size == (raw / last.key).stat().st_size
    assert last.etag == hashlib.md5((raw / last.key).read_bytes(), usedforsecurity=False).hexdigest()


def test_inputs_name_all_files_of_a_day_but_hidden_ones(tmp_path: Path) -> None:
    import trips

    days = tmp_path / "raw" / "yellow"
    for name in (
        "dt=2020-03-04/part-0.parquet",
        "dt=2020-03-05/b.parquet",
        "dt=2020-03-05/hour=01/a",
        "dt=2020-03-05/_SUCCESS",
    ):
        (days / name).parent.mkdir(parents=True, exist_ok=True)
        (days / name).write_bytes(name.encode())
    assert trips.inputs(date(2020, 3, 5), root=tmp_path, state=tmp_path) == 2
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [entry["key"] for entry in manifest["objects"]] == [
        "dt=2020-03-04/part-0.parquet",
        "dt=2020-03-05/b.parquet",
        "dt=2020-03-05/hour=01/a",
    ]


def test_inputs_of_a_day_without_trips_say_which_days_there_are(raw: Path, tmp_path: Path) -> None:
    import trips

    with pytest.raises(trips.TripsError, match="no trips on 2021-01-01; there are from 2018-01-01 to 2020-12-31"):
        trips.inputs(date(2021, 1, 1), root=tmp_path, state=raw.parents[1])


def land(url: str, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "RETRAIN_STATE": str(STATE),
    }
    return subprocess.run(
        [SERVERS_PYTHON, str(TOOL), "land", *argv], env=environment, capture_output=True, text=True, check=False
    )


def test_landing_writes_each_marker_after_its_part_and_nothing_twice(s3: str, raw: Path) -> None:
    assert raw.is_dir()
    client = get_session().create_client(
        "s3", endpoint_url=s3, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket="landed")
    argv = ("--from", "2020-12-30", "--to", "2021-01-02", "--bucket", "landed")
    first = land(s3, *argv)
    assert first.returncode == 0, first.stderr
    assert "2 days landed" in first.stdout
    assert "no trips on 2021-01-01, 2021-01-02" in first.stdout
    stored = {entry["Key"]: entry for entry in client.list_objects_v2(Bucket="landed")["Contents"]}
    for day in ("2020-12-30", "2020-12-31"):
        part, marker = (stored[f"raw/yellow/dt={day}/{name}"] for name in ("part-0.parquet", "_SUCCESS"))
        assert part["LastModified"] <= marker["LastModified"]
        assert marker["Size"] == 0
    assert "0 days landed in s3://landed/raw/yellow, 2 unchanged" in land(s3, *argv).stdout
    client.delete_object(Bucket="landed", Key="raw/yellow/dt=2020-12-30/_SUCCESS")
    client.put_object(Bucket="landed", Key="raw/yellow/dt=2020-12-31/part-0.parquet", Body=b"other")
    assert "2 days landed" in land(s3, *argv).stdout


def test_landing_into_a_bucket_that_is_not_there_says_what_to_do(s3: str, raw: Path) -> None:
    assert raw.is_dir()
    done = land(s3, "--from", "2020-12-30", "--to", "2020-12-31", "--bucket", "no-such-bucket")
    assert done.returncode == 1
    assert "make up" in done.stderr
