"""Real NYC yellow-cab trips: fetched from a package, cut into days, landed in S3.

The trips are 36 monthly samples of 10,000 rows each (2018-01 to 2020-12) that lie in the source package of
great-expectations. Nothing of that package is installed or run: it is downloaded, checked by its sha256, and read as an archive.

    python infra/local/trips fetch
    python infra/local/trips cut [--source FILE ...]
    python infra/local/trips land --from 2019-03-10 --to 2020-03-18
    python infra/local/trips inputs --partition 2020-03-05
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROOT = Path(__file__).resolve().parents[3]

PACKAGE = "great-expectations==1.24.1"
ARCHIVE = "great_expectations-1.24.1.tar.gz"
ARCHIVE_SHA256 = "d35f98a4a1ec27457b61a99ed194ad55eeabcd9c9677162dd2a5db853e9f2490"
# Top-level files only: the folders beside them repeat the same trips, or hold fewer.
MEMBER = re.compile(
    r"great_expectations-1\.24\.1/tests/test_sets/taxi_yellow_tripdata_samples/"
    r"(yellow_tripdata_sample_20(?:18|19|20)-(?:0[1-9]|1[0-2])\.csv)"
)
MONTHS = 36

DATASET = "yellow"
WINDOW_DAYS = 366  # 365 days of history and the partition itself
BUCKET = "retrain-raw"
PREFIX = "raw/yellow"
UPLOADS_AT_ONCE = 8

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

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""


class TripsError(Exception):
    """The trips could not be fetched, cut or landed; the message says why and what to do."""


@dataclass(frozen=True)
class Cut:
    """What one cut wrote: days as partitions, their rows, and the rows that belong to no covered month."""

    partitions: int
    rows: int
    outside: int


@dataclass(frozen=True)
class Landed:
    """What one landing did: days uploaded, days found unchanged, and days for which there are no trips."""

    uploaded: list[str]
    unchanged: list[str]
    absent: list[str]


def silent(what: str, done: int, total: int) -> None:
    """Report nothing: the default progress callback."""


def state_dir() -> Path:
    """Return the state folder: RETRAIN_STATE, or `.local` at the root of the checkout."""
    return Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local").absolute()


def raw_dir(state: Path | None = None) -> Path:
    """Return the folder that holds the cut partitions, `<state>/raw/yellow`."""
    return (state or state_dir()) / "raw" / DATASET


def days(first: date, last: date) -> list[str]:
    """Return every day from `first` to `last`, both included, as YYYY-MM-DD."""
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def part_path(day: str, root: Path) -> Path:
    """Return where the partition of `day` lies below `root`."""
    return root / f"dt={day}" / "part-0.parquet"


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _write_if_changed(path: Path, content: bytes) -> bool:
    """Write `content` to `path` in one step, and leave a file that already holds it alone."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as stream:
        stream.write(content)
    Path(stream.name).chmod(0o644)
    Path(stream.name).replace(path)
    return True


# --- fetch ---------------------------------------------------------------------------------------------------------


def _pip() -> list[str]:
    """Return the argv of a pip that runs: RETRAIN_PIP, this interpreter's, or the one it was made from."""
    if configured := os.environ.get("RETRAIN_PIP"):
        return shlex.split(configured)
    # Environments made by uv hold no pip; the interpreter below them usually does.
    for python in (sys.executable, getattr(sys, "_base_executable", sys.executable)):
        argv = [python, "-m", "pip"]
        if subprocess.run([*argv, "--version"], capture_output=True, check=False).returncode == 0:
            return argv
    raise TripsError("No pip was found to download the trips with; install one, or name it in RETRAIN_PIP.")


def _download(target: Path) -> None:
    argv = [*_pip(), "download", "--quiet", "--no-deps", "--no-binary", "great-expectations", PACKAGE]
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
        done = subprocess.run([*argv, "--dest", folder], capture_output=True, text=True, check=False)
        found = Path(folder) / ARCHIVE
        if done.returncode != 0 or not found.is_file():
            reason = (done.stderr or done.stdout).strip().splitlines()
            raise TripsError(
                f"The package {PACKAGE}, which holds the trips, could not be downloaded "
                f"({reason[-1] if reason else f'pip ended with {done.returncode}'}). "
                f"Check the network and pip's package index, or put {ARCHIVE} into {target.parent}, and run this again."
            )
        found.replace(target)


def _check(archive: Path) -> None:
    """Refuse an archive that is not the one expected, and remove it, so that the next try downloads it anew."""
    found = _digest(archive, "sha256")
    if found != ARCHIVE_SHA256:
        size = archive.stat().st_size
        archive.unlink()
        raise TripsError(
            f"{archive} has sha256 {found} ({size:,} bytes), expected {ARCHIVE_SHA256}: the download was cut short or "
            "changed. It was removed; run this again."
        )


def _extract(archive: Path, folder: Path, progress: Progress) -> None:
    count = 0
    with tarfile.open(archive, "r:gz") as package:
        for member in package:
            match = MEMBER.fullmatch(member.name)
            stream = package.extractfile(member) if match else None
            if match and stream:
                _write_if_changed(folder / match.group(1), stream.read())
                count += 1
                progress("Extracting trips", count, MONTHS)
            if count == MONTHS:
                return
    raise TripsError(f"{archive} holds {count} months of trips, expected {MONTHS}; remove it and run this again.")


def fetch(state: Path | None = None, progress: Progress = silent) -> list[Path]:
    """Download and extract the monthly CSV files, unless they are there; return their paths in order.

    Raises:
        TripsError: no pip, no network, or a download with another content than expected (which is removed).
    """
    folder = (state or state_dir()) / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    complete = folder / "complete.json"
    if complete.is_file():
        sizes: dict[str, int] = json.loads(complete.read_text())
        if all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()):
            return [folder / name for name in sorted(sizes)]
    archive = folder / ARCHIVE
    if not archive.is_file():
        progress("Downloading trips", 0, 1)
        _download(archive)
    _check(archive)
    _extract(archive, folder, progress)
    files = sorted(folder.glob("yellow_tripdata_sample_*.csv"))
    _write_if_changed(complete, json.dumps({f.name: f.stat().st_size for f in files}, indent=1).encode())
    return files


# --- cut -----------------------------------------------------------------------------------------------------------


def _schema() -> pa.Schema:
    import pyarrow as pa

    def kind(name: str) -> pa.DataType:
        if name in TIMES:
            return pa.timestamp("us")
        if name in INTEGERS:
            return pa.int64()
        return pa.string() if name == "store_and_fwd_flag" else pa.float64()

    return pa.schema([(name, kind(name)) for name in COLUMNS])


def _read(source: Path) -> pa.Table:
    """Read one monthly file, CSV sample or official TLC Parquet, as a table of the sample's columns and types."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    schema = _schema()
    try:
        if source.suffix == ".csv":
            # Ids come as floats ("1.0") in months where some are missing, so they are read as such and then cast.
            kinds = {field.name: pa.float64() if pa.types.is_integer(field.type) else field.type for field in schema}
            table = pyarrow.csv.read_csv(
                source, convert_options=pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=True)
            )
        else:
            table = pq.ParquetFile(source).read()
        table = table.rename_columns([TLC_NAMES.get(name, name) for name in table.column_names])
        absent = [name for name in schema.names if name not in table.column_names]
        if absent:
            raise TripsError(f"{source} has no column {', '.join(absent)}: is it a yellow-cab trip file?")
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, OSError) as e:
        raise TripsError(f"{source} cannot be read as a yellow-cab trip file ({e}); fetch it again.") from e


def _split(table: pa.Table) -> tuple[str, pa.Table]:
    """Return the month that most rows were picked up in, and the table with a `day` column beside its own."""
    import pyarrow.compute as pc

    table = table.append_column("day", pc.strftime(table["pickup_datetime"], format="%Y-%m-%d"))
    months = Counter({m: n for m, n in _counts(pc.utf8_slice_codeunits(table["day"], 0, 7)) if m is not None})
    if not months:
        raise TripsError("A source file holds no row with a pickup time.")
    return months.most_common(1)[0][0], table


def _counts(column: pa.ChunkedArray) -> Iterator[tuple[str | None, int]]:
    for entry in column.value_counts():
        yield entry["values"].as_py(), entry["counts"].as_py()


def _parquet(table: pa.Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def cut(sources: Iterable[Path] | None = None, state: Path | None = None, progress: Progress = silent) -> Cut:
    """Cut monthly files into one Parquet partition a pickup date, dirty rows included, the same bytes each time.

    A file covers the month that most of its rows were picked up in. Only partitions of covered months are written: a
    row picked up in a month that no given file covers would overwrite that month's partition, so such rows are kept
    in `<state>/raw/outside/` and counted instead.

    Args:
        sources: CSV samples or official TLC yellow-cab Parquet files; the fetched samples (fetched if need be) if None.
        state: the state folder.
        progress: told after each file and each month.

    Raises:
        TripsError: a file that is no yellow-cab trip file.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    files = sorted(sources) if sources is not None else fetch(state, progress)
    root = raw_dir(state)
    record = root.parent / "cut.json"
    digests = {file.name: _digest(file, "sha256") for file in files}
    if record.is_file():
        known = json.loads(record.read_text())
        if known["sources"] == digests and len(list(root.glob("dt=*/part-0.parquet"))) >= known["partitions"]:
            return Cut(known["partitions"], known["rows"], known["outside"])

    tables: dict[Path, pa.Table] = {}
    covered: set[str] = set()
    for number, file in enumerate(files, start=1):
        month, tables[file] = _split(_read(file))
        covered.add(month)
        progress("Reading trips", number, len(files))

    rows = outside = partitions = 0
    by_month: dict[str, list[pa.Table]] = {month: [] for month in covered}
    for file, table in tables.items():
        month_of = pc.utf8_slice_codeunits(table["day"], 0, 7)
        inside = pc.fill_null(pc.is_in(month_of, value_set=pa.array(sorted(covered))), fill_value=False)
        strays = table.filter(pc.invert(inside)).drop_columns(["day"])
        if strays.num_rows:
            _write_if_changed(root.parent / "outside" / f"{file.stem}.parquet", _parquet(strays))
            outside += strays.num_rows
        for month in pc.unique(month_of.filter(inside)).to_pylist():
            by_month[month].append(table.filter(pc.equal(month_of, month)))
    for number, month in enumerate(sorted(by_month), start=1):
        table = pa.concat_tables(by_month[month])
        # The sort is stable, so trips picked up in the same second keep the order of their file.
        table = table.take(pc.sort_indices(table, sort_keys=[("pickup_datetime", "ascending")]))
        start = 0
        for day, count in _counts(table["day"]):
            _write_if_changed(part_path(str(day), root), _parquet(table.slice(start, count).drop_columns(["day"])))
            start, rows, partitions = start + count, rows + count, partitions + 1
        progress("Cutting days", number, len(by_month))
    result = Cut(partitions, rows, outside)
    summary = {"sources": digests, "partitions": partitions, "rows": rows, "outside": outside}
    _write_if_changed(record, json.dumps(summary, indent=1).encode())
    return result


# --- land ----------------------------------------------------------------------------------------------------------


def _s3() -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=UPLOADS_AT_ONCE,
    )
    return boto3.client("s3", config=config)


@contextmanager
def _explained(bucket: str) -> Iterator[None]:
    """Turn what boto3 raises into a sentence with the next step."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as e:
        raise TripsError(
            f"S3 did not take the trips for bucket {bucket} ({e}). Check AWS_ENDPOINT_URL, the AWS credentials and that "
            "the bucket exists (`make up` starts a local S3), then run this again: it goes on where it stopped."
        ) from e


def land(
    first: date,
    last: date,
    *,
    bucket: str = BUCKET,
    prefix: str = PREFIX,
    state: Path | None = None,
    progress: Progress = silent,
    client: Any = None,
) -> Landed:
    """Upload the cut partitions from `first` to `last`: the part, then its `_SUCCESS` marker, which is always last.

    A day whose part has the same ETag in the bucket and whose marker is there is left alone, so a second call uploads
    nothing. A part that has changed is uploaded again and so is its marker.

    Raises:
        TripsError: S3 cannot be reached or refuses, or no day of the range has been cut.
    """
    root = raw_dir(state)
    wanted = days(first, last)
    present = [day for day in wanted if part_path(day, root).is_file()]
    if not present:
        raise TripsError(f"There are no trips from {first} to {last} in {root}; run `trips.py cut` first.")
    with _explained(bucket):
        s3 = client or _s3()
        etags = _etags(s3, bucket, prefix)

        def upload(day: str) -> bool:
            part, marker = f"{prefix}/dt={day}/part-0.parquet", f"{prefix}/dt={day}/_SUCCESS"
            content = part_path(day, root).read_bytes()
            same = etags.get(part) == hashlib.md5(content, usedforsecurity=False).hexdigest()
            if same and marker in etags:
                return False
            if not same:
                s3.put_object(Bucket=bucket, Key=part, Body=content)
            s3.put_object(Bucket=bucket, Key=marker, Body=b"")
            return True

        uploaded: list[str] = []
        unchanged: list[str] = []
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            for number, (day, changed) in enumerate(zip(present, pool.map(upload, present), strict=True), start=1):
                (uploaded if changed else unchanged).append(day)
                progress("Landing days", number, len(present))
    return Landed(uploaded, unchanged, [day for day in wanted if day not in set(present)])


def _etags(s3: Any, bucket: str, prefix: str) -> Mapping[str, str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    return {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}


# --- inputs --------------------------------------------------------------------------------------------------------


def inputs(
    partition: date,
    pipeline: str = "trip_duration",
    *,
    window_days: int = WINDOW_DAYS,
    root: Path = ROOT,
    state: Path | None = None,
    progress: Progress = silent,
) -> int:
    """Write `run.yaml` and `manifest.json` at `root` from the cut partitions, as a daily run would; no server needed.

    The trips are fetched and cut first if that has not happened. Returns the number of days in the manifest.

    Raises:
        TripsError: there are no trips on the day asked for.
    """
    raw = raw_dir(state)
    if not part_path(partition.isoformat(), raw).is_file():
        cut(state=state, progress=progress)
    if not part_path(partition.isoformat(), raw).is_file():
        have = sorted(path.parent.name.removeprefix("dt=") for path in raw.glob("dt=*/part-0.parquet"))
        raise TripsError(f"There are no trips on {partition}; there are from {have[0]} to {have[-1]}.")
    window = days(partition - timedelta(days=window_days - 1), partition)
    objects = [
        {
            "key": f"dt={day}/part-0.parquet",
            "etag": _digest(part_path(day, raw), "md5"),
            "size": part_path(day, raw).stat().st_size,
            "version_id": None,
        }
        for day in window
        if part_path(day, raw).is_file()
    ]
    manifest = {
        "schema_version": 1,
        "pipeline": pipeline,
        "partition": partition.isoformat(),
        "root": str(raw),
        "objects": objects,
    }
    _write_if_changed(root / "manifest.json", (json.dumps(manifest, sort_keys=True, indent=1) + "\n").encode())
    # Quoted: an unquoted date would be read back as a date, not as text.
    run = f'schema_version: 1\npipeline: {pipeline}\npartition: "{partition}"\n'
    _write_if_changed(root / "run.yaml", run.encode())
    return len(objects)


# --- command line --------------------------------------------------------------------------------------------------


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description:18}"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True)
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield show


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trips.py", description="Fetch, cut and land real NYC yellow-cab trips.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("fetch", help="download the monthly samples, once")
    cutting = commands.add_parser("cut", help="cut monthly files into one Parquet partition a pickup date")
    cutting.add_argument(
        "--source", type=Path, nargs="+", metavar="FILE", help="CSV samples or official TLC yellow-cab Parquet files"
    )
    landing = commands.add_parser("land", help="upload partitions to S3, each marker last")
    landing.add_argument("--from", dest="first", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    landing.add_argument("--to", dest="last", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    landing.add_argument("--bucket", default=os.environ.get("RETRAIN_RAW_BUCKET", BUCKET))
    landing.add_argument("--prefix", default=PREFIX)
    writing = commands.add_parser("inputs", help="write run.yaml and manifest.json for research without a server")
    writing.add_argument("--partition", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    writing.add_argument("--pipeline", default="trip_duration", metavar="NAME")
    writing.add_argument("--window-days", type=int, default=WINDOW_DAYS, metavar="N")
    return parser


def _run(options: argparse.Namespace, progress: Progress) -> str:
    if options.command == "fetch":
        return f"{len(fetch(progress=progress))} monthly files in {state_dir() / 'downloads'}."
    if options.command == "cut":
        made = cut(options.source, progress=progress)
        return (
            f"{made.partitions} partitions with {made.rows:,} trips in {raw_dir()}; "
            f"{made.outside} picked up in no covered month, kept in {raw_dir().parent / 'outside'}."
        )
    if options.command == "land":
        done = land(options.first, options.last, bucket=options.bucket, prefix=options.prefix, progress=progress)
        none = f"; no trips on {', '.join(done.absent)}" if done.absent else ""
        return f"{len(done.uploaded)} days landed in s3://{options.bucket}/{options.prefix}, {len(done.unchanged)} unchanged{none}."
    count = inputs(options.partition, options.pipeline, window_days=options.window_days, progress=progress)
    return f"run.yaml and manifest.json name {count} days up to {options.partition}. Next: dvc repro"


def main(argv: list[str] | None = None) -> int:
    """Run one command; say on stdout what was done, on stderr how it goes."""
    options = _parser().parse_args(argv)
    try:
        with _bar() as progress:
            done = _run(options, progress)
    except TripsError as e:
        sys.stderr.write(f"{e}\n")
        return 1
    sys.stdout.write(f"{done}\n")
    return 0
