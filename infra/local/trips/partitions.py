"""Where the partitions of the trips lie: one folder per day below the state folder."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

DATASET = "yellow"


def state_dir() -> Path:
    """Return the state folder: RETRAIN_STATE, or `.local` at the root of the checkout."""
    return Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local").absolute()


def raw_dir(state: Path | None = None) -> Path:
    """Return the folder of the cut partitions, `<state>/raw/yellow`; `state_dir()` if no state folder is given."""
    return (state or state_dir()) / "raw" / DATASET


def days(first: date, last: date) -> list[str]:
    """Return every day from `first` to `last`, both included, as YYYY-MM-DD."""
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def part_path(day: str, root: Path) -> Path:
    """Return the path of the Parquet file that is cut for `day` (YYYY-MM-DD), below the folder of partitions `root`."""
    return root / f"dt={day}" / "part-0.parquet"


def data_files(day: str, root: Path) -> list[Path]:
    """Return all files of `day` below `root` that are not hidden, at any depth: those that a daily run would read."""
    folder = root / f"dt={day}"
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)]
