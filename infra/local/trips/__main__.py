"""The command line of the trips: `python infra/local/trips fetch | cut | land | inputs`."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path

if not __package__:
    # `python FOLDER` puts the folder itself on the path. The package is found from the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from stack_model import RAW_BUCKET

from trips.cutting import cut
from trips.errors import TripsError
from trips.fetching import fetch
from trips.landing import PREFIX, land
from trips.partitions import raw_dir, state_dir
from trips.progress import Report, bars
from trips.run_inputs import WINDOW_DAYS, inputs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trips", description="Fetch, cut and land real NYC yellow-cab trips.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("fetch", help="download the monthly samples, once")
    cutting = commands.add_parser("cut", help="cut monthly files into one Parquet partition per pickup date")
    cutting.add_argument(
        "--source", type=Path, nargs="+", metavar="FILE", help="CSV samples or official TLC yellow-cab Parquet files"
    )
    landing = commands.add_parser("land", help="upload partitions to S3, each day's marker last")
    landing.add_argument("--from", dest="first", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    landing.add_argument("--to", dest="last", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    landing.add_argument("--bucket", default=os.environ.get("RETRAIN_RAW_BUCKET", RAW_BUCKET))
    landing.add_argument("--prefix", default=PREFIX)
    writing = commands.add_parser("inputs", help="write run.yaml and manifest.json for research without a server")
    writing.add_argument("--partition", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    writing.add_argument("--pipeline", default="trip_duration", metavar="NAME")
    writing.add_argument("--window-days", type=int, default=WINDOW_DAYS, metavar="N")
    return parser


def _run(options: argparse.Namespace, progress: Report) -> str:
    if options.command == "fetch":
        return f"{len(fetch(progress=progress))} monthly files in {state_dir() / 'downloads'}."
    if options.command == "cut":
        made = cut(options.source, progress=progress)
        return (
            f"{made.partitions} partitions with {made.rows:,} trips in {raw_dir()}; "
            f"{made.outside} picked up in a month that no file covers, kept in {raw_dir().parent / 'outside'}."
        )
    if options.command == "land":
        done = land(options.first, options.last, bucket=options.bucket, prefix=options.prefix, progress=progress)
        none = f"; no trips on {', '.join(done.absent)}" if done.absent else ""
        return f"{len(done.uploaded)} days landed in s3://{options.bucket}/{options.prefix}, {len(done.unchanged)} unchanged{none}."
    count = inputs(options.partition, options.pipeline, window_days=options.window_days, progress=progress)
    return f"run.yaml and manifest.json name {count} days up to {options.partition}. Next: dvc repro"


def main(argv: list[str] | None = None) -> int:
    """Run one command: its result goes to stdout, its progress to stderr. Returns 0, or 1 if it failed."""
    options = _parser().parse_args(argv)
    try:
        with bars() as progress:
            done = _run(options, progress)
    except TripsError as e:
        sys.stderr.write(f"{e}\n")
        return 1
    sys.stdout.write(f"{done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
