"""The input files of a run, written for research without a server."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

from trips.cutting import cut
from trips.errors import NoTripsError
from trips.files import digest, write_if_changed
from trips.partitions import ROOT, data_files, days, raw_dir
from trips.progress import Report, silent

# The manifest is written by the deployment's own code, so that it cannot have a second format.
sys.path.insert(0, str(ROOT / "plugins"))

from retrain.run.manifest import Manifest, RawObject

WINDOW_DAYS = 366  # 365 days of history, then the partition itself


def inputs(
    partition: date,
    pipeline: str = "trip_duration",
    *,
    window_days: int = WINDOW_DAYS,
    root: Path = ROOT,
    state: Path | None = None,
    progress: Report = silent,
) -> int:
    """Write `run.yaml` and `manifest.json` into `root`, as a daily run does, from the cut partitions.

    If `partition` has not been cut yet, the trips are fetched and cut first.

    Args:
        partition: the day of the run.
        pipeline: the name of the pipeline in both files.
        window_days: how many days the manifest covers, up to and including `partition`.
        root: the folder of the two files.
        state: the state folder.
        progress: called after each file that is read and each month that is cut.

    Returns:
        The number of days in the manifest. Days without trips are left out.

    Raises:
        NoTripsError: there are no trips on `partition`.
        TripsError: the trips are not there, and could not be fetched or cut.
    """
    raw = raw_dir(state)
    if not data_files(partition.isoformat(), raw):
        cut(state=state, progress=progress)
    if not data_files(partition.isoformat(), raw):
        have = sorted(path.name.removeprefix("dt=") for path in raw.glob("dt=*"))
        raise NoTripsError(f"There are no trips on {partition}; there are from {have[0]} to {have[-1]}.")
    window = days(partition - timedelta(days=window_days - 1), partition)
    files = {day: data_files(day, raw) for day in window}
    objects = tuple(
        RawObject(path.relative_to(raw).as_posix(), digest(path, "md5"), path.stat().st_size, None)
        for day in window
        for path in files[day]
    )
    manifest = Manifest(pipeline, partition.isoformat(), str(raw), objects)
    write_if_changed(root / "manifest.json", manifest.to_json().encode())
    # Not by RunSpec, which needs a release and a commit. Quoted: an unquoted date would be read back as a date, not as text.
    run = f'schema_version: 1\npipeline: {pipeline}\npartition: "{partition}"\n'
    write_if_changed(root / "run.yaml", run.encode())
    return sum(bool(found) for found in files.values())
