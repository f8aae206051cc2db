"""The partition of a run: one rule for the DAG's templates, its callbacks, the watch and the demo.

It is the run's Param `partition`, else the day on which the run's data interval starts, in the schedule's time zone. Airflow
gives the interval in UTC, where the date differs for a part of each day. When a clock change skips the schedule's time, Airflow
starts the interval later by the length of the change. If that is past midnight, the partition is still the scheduled day. So
every day on which the cron starts a run is the partition of exactly one interval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from retrain.deployment import cron
from retrain.errors import PartitionError

if TYPE_CHECKING:
    from retrain.deployment.sections import Schedule

PATTERN = r"^\d{4}-\d{2}-\d{2}$"
MACRO = "partition_of"  # the name of `of_template` in a DAG's templates


def parse(text: str) -> date:
    """The date of a partition `YYYY-MM-DD`.

    Raises:
        PartitionError: the text has another form, or is not a day of the calendar.
    """
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise PartitionError(f"The partition {text!r} is not a date. Give it as YYYY-MM-DD.")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise PartitionError(
            f"The partition {text!r} is not a day of the calendar ({error}). Give it as YYYY-MM-DD."
        ) from error


def of_interval(start: datetime, schedule: Schedule) -> date:
    """The partition of a data interval. `start` is aware, in any time zone."""
    zone = ZoneInfo(schedule.timezone)
    day = start.astimezone(zone).date()
    before = day - timedelta(days=1)
    # Python converts a time that the clock skips as if the clock had not changed yet, and Airflow starts the run at that time.
    scheduled = datetime.combine(before, cron.time_of(schedule.cron), zone).astimezone(UTC)
    return before if scheduled == start else day


def of_run(
    param: str | None, interval_start: datetime | None, schedule: Schedule, *, now: datetime, backfill: bool = False
) -> str:
    """The partition of a DAG run, as `YYYY-MM-DD`. `interval_start` and `now` are aware.

    Raises:
        PartitionError: the run has neither a Param nor an interval; the Param is not a date; a backfill has a Param, which
            would apply to all its runs; or the day is in the future. The model of a future day would be newer than those of all
            real days, which could then never be promoted.
    """
    if param is not None:
        if backfill:
            raise PartitionError(
                f"A backfill was given the partition {param!r}, which would apply to all its runs. "
                "Start it again with dates and without a partition."
            )
        day = parse(param)
    elif interval_start is None:
        raise PartitionError("This run has no data interval and no partition. Trigger it with partition=YYYY-MM-DD.")
    else:
        day = of_interval(interval_start, schedule)
    today = now.astimezone(ZoneInfo(schedule.timezone)).date()
    if day > today:
        raise PartitionError(
            f"The partition {day} is in the future: today is {today} in {schedule.timezone}. "
            "Trigger the run again with a day in the past. If there is already data for that day, inform its owner."
        )
    return day.isoformat()


def window(partition: str, days: int) -> list[str]:
    """The `days` partitions that end with `partition`, oldest first.

    Raises:
        PartitionError: as for `parse`.
    """
    end = parse(partition)
    return [(end - timedelta(days=back)).isoformat() for back in range(days - 1, -1, -1)]


def of_template(
    params: Mapping[str, Any],
    dag_run: Any,
    schedule: Schedule,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str:
    """The partition of the run whose task renders a Jinja template.

    Raises:
        PartitionError: as for `of_run`.
    """
    backfill = dag_run.run_type == "backfill"
    return of_run(params.get("partition"), dag_run.data_interval_start, schedule, now=clock(), backfill=backfill)


def of_context(context: Mapping[str, Any]) -> str:
    """The partition of the run that a callback is called for: the same as in its DAG's templates.

    Raises:
        PartitionError: as for `of_run`, or the runs of this DAG are not about one day.
    """
    dag = context.get("dag")
    macros = getattr(dag, "user_defined_macros", None) or {}
    if MACRO not in macros:
        raise PartitionError(f"A run of {getattr(dag, 'dag_id', 'an unknown DAG')} is not about one day.")
    day: str = macros[MACRO](context["params"], context["dag_run"])
    return day


def of_api(run: Mapping[str, Any], schedule: Schedule, *, now: datetime) -> str | None:
    """The partition of a DAG run in an answer of Airflow's REST API; None if the run was refused because it has none."""
    param, start = (run.get("conf") or {}).get("partition"), run.get("data_interval_start")
    interval_start, backfill = datetime.fromisoformat(start) if start else None, run["run_type"] == "backfill"
    try:
        return of_run(param, interval_start, schedule, now=now, backfill=backfill)
    except PartitionError:
        return None
