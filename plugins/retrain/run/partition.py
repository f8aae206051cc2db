"""The day that a run is about: one rule for the DAG's templates, its callbacks, the watch and the demo. Pure.

It is the run's Param `partition`, else the day on which the run's data interval starts, in the schedule's time zone. Airflow
gives the interval in UTC, whose date is another one for part of each day. Where the clock change skips the schedule's time,
Airflow starts the interval as much later as the clock jumps; if that is past midnight, the day is the one that was meant.
So every day on which the cron starts a run is the day of exactly one interval.
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
    """The date of a partition `YYYY-MM-DD`; PartitionError for anything else, also for a day that no calendar has."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise PartitionError(f"The partition {text!r} is not a date. Give it as YYYY-MM-DD.")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise PartitionError(
            f"The partition {text!r} is not in the calendar ({error}). Give it as YYYY-MM-DD."
        ) from error


def of_interval(start: datetime, schedule: Schedule) -> date:
    """The day of a data interval, from its start (aware, in any time zone)."""
    zone = ZoneInfo(schedule.timezone)
    day = start.astimezone(zone).date()
    before = day - timedelta(days=1)
    # A time that the clock skips converts to UTC as if the clock had not changed yet, which is where Airflow moves it to.
    meant = datetime.combine(before, cron.time_of(schedule.cron), zone).astimezone(UTC)
    return before if meant == start else day


def of_run(
    param: str | None, interval_start: datetime | None, schedule: Schedule, *, now: datetime, backfill: bool = False
) -> str:
    """The partition of a DAG run. `now` is aware.

    Raises:
        PartitionError: the run has neither Param nor interval, its Param is no date or, in a backfill, that of all its runs,
            or the day is still to come: a model of it would be newer than those of all real days, which then never promote.
    """
    if param is not None:
        if backfill:
            raise PartitionError(
                f"A backfill was given the partition {param!r}, which would be that of each of its runs. "
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
            "Trigger the run again with a day that has been; if data lies there, tell its owner."
        )
    return day.isoformat()


def window(partition: str, days: int) -> list[str]:
    """The `days` partitions that end with this one, oldest first."""
    end = parse(partition)
    return [(end - timedelta(days=back)).isoformat() for back in range(days - 1, -1, -1)]


def of_template(
    params: Mapping[str, Any],
    dag_run: Any,
    schedule: Schedule,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str:
    """The partition, for a task's Jinja template."""
    backfill = dag_run.run_type == "backfill"
    return of_run(params.get("partition"), dag_run.data_interval_start, schedule, now=clock(), backfill=backfill)


def of_context(context: Mapping[str, Any]) -> str:
    """The partition, for a callback: as its DAG's templates have it. PartitionError if the DAG's runs are about no day."""
    dag = context.get("dag")
    macros = getattr(dag, "user_defined_macros", None) or {}
    if MACRO not in macros:
        raise PartitionError(f"A run of {getattr(dag, 'dag_id', 'a DAG that is not known')} is not about one day.")
    day: str = macros[MACRO](context["params"], context["dag_run"])
    return day
