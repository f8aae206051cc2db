"""Fetch the monthly samples of the trips.

They are 36 files of 10,000 rows each (2018-01 to 2020-12) in the source package of great-expectations. Nothing of that
package is installed or run: it is downloaded, checked by its SHA-256, and read as an archive.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from downloads import shared_downloads
from network_advice import advice
from pip_run import run_pip

from trips.errors import DownloadError, NoPipError, TripsArchiveError
from trips.files import digest, write_if_changed
from trips.partitions import state_dir
from trips.progress import Report, silent

PACKAGE = "great-expectations==1.24.1"
ARCHIVE = "great_expectations-1.24.1.tar.gz"
ARCHIVE_SHA256 = "d35f98a4a1ec27457b61a99ed194ad55eeabcd9c9677162dd2a5db853e9f2490"
# Only the files of this folder: the folders below it repeat the same trips, or hold fewer.
MEMBER = re.compile(
    r"great_expectations-1\.24\.1/tests/test_sets/taxi_yellow_tripdata_samples/"
    r"(yellow_tripdata_sample_20(?:18|19|20)-(?:0[1-9]|1[0-2])\.csv)"
)
MONTHS = 36


def fetch(state: Path | None = None, progress: Report = silent) -> list[Path]:
    """Download and extract the monthly CSV files, unless they are there; return their paths in order.

    They are kept in `<state>/downloads`; the archive that they come from is kept for every checkout of this machine, in
    `shared_downloads()`. An archive in `<state>/downloads` is taken instead.

    Raises:
        NoPipError: no pip was found.
        DownloadError: pip could not download the package.
        TripsArchiveError: the download has other content than expected. An archive with another checksum is removed.
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
        archive = shared_downloads() / ARCHIVE
    if not archive.is_file():
        progress("Downloading trips", 0, 1)
        _download(archive)
    _check(archive)
    _extract(archive, folder, progress)
    files = sorted(folder.glob("yellow_tripdata_sample_*.csv"))
    write_if_changed(complete, json.dumps({f.name: f.stat().st_size for f in files}, indent=1).encode())
    return files


def _pip() -> list[str]:
    """The command of a pip that runs: RETRAIN_PIP, this interpreter's pip, or that of the interpreter it was made from."""
    if configured := os.environ.get("RETRAIN_PIP"):
        return shlex.split(configured)
    # Environments made by uv hold no pip; the interpreter that they were made from usually does.
    for python in (sys.executable, getattr(sys, "_base_executable", sys.executable)):
        argv = [python, "-m", "pip"]
        if subprocess.run([*argv, "--version"], capture_output=True, check=False).returncode == 0:
            return argv
    raise NoPipError("No pip was found to download the trips with. Install pip, or set RETRAIN_PIP to its command.")


def _download(target: Path) -> None:
    arguments = ["download", "--no-deps", "--no-binary", "great-expectations", PACKAGE]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
        done = run_pip(_pip(), [*arguments, "--dest", folder])
        found = Path(folder) / ARCHIVE
        if done.returncode != 0 or not found.is_file():
            reason = (done.stderr or done.stdout).strip().splitlines()
            raise DownloadError(
                f"The package {PACKAGE}, which holds the trips, could not be downloaded "
                f"({reason[-1] if reason else f'pip ended with {done.returncode}'}). "
                f"{advice(done.stdout + done.stderr, os.environ)} Or put {ARCHIVE} into {target.parent}."
            )
        found.replace(target)


def _check(archive: Path) -> None:
    """Refuse an archive with another checksum and remove it, so that the next attempt downloads it again."""
    found = digest(archive, "sha256")
    if found != ARCHIVE_SHA256:
        size = archive.stat().st_size
        archive.unlink()
        raise TripsArchiveError(
            f"{archive} has SHA-256 {found} ({size:,} bytes), expected {ARCHIVE_SHA256}: the download is incomplete or "
            "was changed. It was removed. Run this again."
        )


def _extract(archive: Path, folder: Path, progress: Report) -> None:
    count = 0
    with tarfile.open(archive, "r:gz") as package:
        for member in package:
            match = MEMBER.fullmatch(member.name)
            stream = package.extractfile(member) if match else None
            if match and stream:
                write_if_changed(folder / match.group(1), stream.read())
                count += 1
                progress("Extracting trips", count, MONTHS)
            if count == MONTHS:
                return
    raise TripsArchiveError(
        f"{archive} holds {count} months of trips, expected {MONTHS}. Remove it and run this again."
    )
