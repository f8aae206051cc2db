"""The day that a run is about: one explicit place tells it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from retrain.errors import PartitionError

PATTERN = r"^\d{4}-\d{2}-\d{2}$"


def parse(text: str) -> date:
    """The date of a partition `YYYY-MM-DD`; PartitionError for anything else, also for a day that no calendar has."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise PartitionError(f"The partition {text!r} is not a date. Give it as YYYY-MM-DD.")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise PartitionError(
            f"The partition {text!r} is not in the calendar ({error}). Give it as YYYY-MM-DD."
        ) from error


def of_run(param: str | None, interval_start: datetime | None, *, backfill: bool = False) -> str:
    """The partition of a DAG run: its Param if given, else the start of its data interval (a UTC date).

    A backfill takes its days from its dates only: one Param would give every one of its runs the same day.
    """
    if param is not None:
        if backfill:
            raise PartitionError(
                f"A backfill was given the partition {param!r}, which would be that of each of its runs. "
                "Start it again with dates and without a partition."
            )
        return parse(param).isoformat()
    if interval_start is None:
        raise PartitionError("This run has no data interval and no partition. Trigger it with partition=YYYY-MM-DD.")
    return interval_start.date().isoformat()


def window(partition: str, days: int) -> list[str]:
    """The `days` partitions that end with this one, oldest first."""
    end = parse(partition)
    return [(end - timedelta(days=back)).isoformat() for back in range(days - 1, -1, -1)]


def of_template(params: Mapping[str, Any], dag_run: Any) -> str:
    """The partition, for a task's Jinja template."""
    return of_run(params.get("partition"), dag_run.data_interval_start, backfill=dag_run.run_type == "backfill")


def of_context(context: Mapping[str, Any]) -> str:
    """The partition, for a callback."""
    return of_template(context["params"], context["dag_run"])
