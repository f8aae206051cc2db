"""The runs to start for S3's messages about landed data.

A message may arrive twice, late, or after a newer one. The same landing always gives the same run id, which Airflow accepts once.

A marker of one day is a landing: each write of it starts one run. Without such a marker, any object of a day starts the day's run,
which waits until the day has landed. Objects of a day that are written within the same span of `quiet_minutes` (counted from 1970,
UTC) start one run: it cannot begin before no object has come for as long, so it reads all of them. A day whose objects come over
several spans has several runs; each that finds the same objects as the one before takes everything from the cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from retrain.deployment import cron
from retrain.deployment.sections import Raw, Schedule
from retrain.errors import LandingError
from retrain.run.raw_layout import RawLayout
from retrain.run.s3_messages import WrittenObject, written_objects

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_SPAN = timedelta(minutes=10)  # with one marker for several days, which has no quiet_minutes
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def messages(asset_events: Mapping[Any, Iterable[Any]]) -> list[Mapping[str, Any]]:
    """The messages of the queue in the asset events that started a run. Each event has a batch of messages."""
    return [
        message
        for events in asset_events.values()
        for event in events
        for message in event.extra["payload"]["message_batch"]
    ]


def runs(found: Iterable[Mapping[str, Any]], raw: Raw, schedule: Schedule) -> list[dict[str, Any]]:
    """`trigger_run_id` and `conf` of each run to start for these messages, without duplicates.

    S3's test events, objects that are no landing, and days that the schedule leaves out start no run. A message that is not S3's,
    or is another pipeline's, does not hold up the others: a batch is deleted when it is read. `refuse_others` names it.
    """
    starts: dict[str, dict[str, Any]] = {}
    for message in found:
        try:
            written = written_objects(message)
        except LandingError:
            continue
        for item in written:
            key = _key_below(item, raw)
            day, landing = (None, "") if key is None else _landing(key, item, raw)
            if day is not None and cron.starts_on(schedule.cron, date.fromisoformat(day)):
                name = f"landed__{day}__{_UNSAFE.sub('-', landing)}"
                starts[name] = {"trigger_run_id": name, "conf": {"partition": day}}
    return list(starts.values())


def refuse_others(found: Iterable[Mapping[str, Any]], raw: Raw) -> None:
    """Make sure that all messages are S3's, and about objects below the pipeline's raw data.

    Raises:
        LandingError: one is not; the message quotes the first.
    """
    for message in found:
        for item in written_objects(message):
            if _key_below(item, raw) is None:
                raise LandingError(
                    f"The queue {raw.queue} has a message about s3://{item.bucket}/{item.key}, which is not below {raw.url}: it may "
                    "be another pipeline's, whose day now waits for its scheduled run. A queue is of one pipeline: correct the "
                    "prefix of its subscription (event_pipelines in infra/aws), or of EventBridge's rule."
                )


def _key_below(item: WrittenObject, raw: Raw) -> str | None:
    """The object's key relative to `raw.url`; None if it is elsewhere."""
    place = urlsplit(raw.url)
    folder = f"{place.path.strip('/')}/".lstrip("/")  # empty at a bucket's root
    below = item.bucket == place.netloc and item.key.startswith(folder)
    return item.key.removeprefix(folder) if below else None


def _landing(key: str, item: WrittenObject, raw: Raw) -> tuple[str | None, str]:
    """The day that an object lands, None if it does not, and the identity of the landing."""
    layout = RawLayout.of(raw)
    if layout.marker_is_dated:
        return layout.marked(key), item.write
    span = timedelta(minutes=raw.quiet_minutes) if raw.quiet_minutes else _SPAN
    begin = item.write if item.at is None else f"{_BEGIN + (item.at - _BEGIN) // span * span:%Y%m%dT%H%MZ}"
    return layout.day_of(key), begin
