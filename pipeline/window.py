"""The days that a run reads, and their clean trips."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq

from pipeline.errors import DataRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def days_before(partition: date, count: int) -> list[date]:
    """Return the `count` days before `partition`, oldest first, without the partition itself."""
    return [partition - timedelta(days=n) for n in range(count, 0, -1)]


def same_weekdays_before(partition: date, weeks: int) -> list[date]:
    """Return the same weekday of each of the `weeks` weeks before `partition`, oldest first."""
    return [partition - timedelta(weeks=n) for n in range(weeks, 0, -1)]


def part_path(root: Path, day: date) -> Path:
    """Return the path of the trips of `day` below `root`."""
    return root / f"dt={day.isoformat()}" / "part-0.parquet"


def days_present(root: Path, days: Iterable[date]) -> list[date]:
    """Return the days of `days` that have trips below `root`."""
    return [day for day in days if part_path(root, day).is_file()]


def read_days(root: Path, days: Iterable[date]) -> pd.DataFrame:
    """Return the clean trips of the days that are present, in the order of `days`, with a `day` column.

    Raises:
        DataRefusedError: none of the days is present.
    """
    frames: list[pd.DataFrame] = []
    for day in days:
        path = part_path(root, day)
        if path.is_file():
            frame: pd.DataFrame = pq.ParquetFile(path).read().to_pandas()
            frames.append(frame.assign(day=pd.Timestamp(day)))
    if not frames:
        raise DataRefusedError(f"{root} holds none of the days that this run needs; land earlier partitions first.")
    return pd.concat(frames, ignore_index=True)
