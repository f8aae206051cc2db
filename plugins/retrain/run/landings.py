"""What S3's messages say has landed: the runs to start. Pure.

A message may come twice, late, or behind a newer one: the same landing always makes the same run id, and Airflow has a run id once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from retrain.deployment.sections import Raw
from retrain.errors import LandingError, PartitionError
from retrain.run import partition

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")


def messages(asset_events: Mapping[Any, Iterable[Any]]) -> list[Mapping[str, Any]]:
    """The queue's messages in the asset events that started a run: an event has a batch of them."""
    return [
        message
        for events in asset_events.values()
        for event in events
        for message in event.extra["payload"]["message_batch"]
    ]


def runs(found: Iterable[Mapping[str, Any]], raw: Raw) -> list[dict[str, Any]]:
    """What to start for these messages of the queue: `trigger_run_id` and `conf` of each, a landing once.

    S3's test events and other keys than `dt=<partition>/<marker>` below the pipeline's raw data are not ours. What is none of S3's
    starts nothing here, and holds up nothing: a batch is deleted from the queue when it is read. `refuse_others` names it.
    """
    starts: dict[str, dict[str, Any]] = {}
    for message in found:
        try:
            created = _created(message)
        except LandingError:
            continue
        for item in created:
            day = _partition(item, raw)
            if day is not None:
                name = f"landed__{day}__{_UNSAFE.sub('-', item.write)}"
                starts[name] = {"trigger_run_id": name, "conf": {"partition": day}}
    return list(starts.values())


def refuse_others(found: Iterable[Mapping[str, Any]]) -> None:
    """LandingError for the first message that is none of S3's."""
    for message in found:
        _created(message)


@dataclass(frozen=True)
class _Created:
    """An object that S3 says was written. `write` tells it from the write before: a marker is empty, so its ETag never changes."""

    bucket: str
    key: str
    write: str


def _created(message: Mapping[str, Any]) -> list[_Created]:
    """The objects that a message tells of, whether S3 wrote to the queue itself or SNS passed it on."""
    try:
        body = json.loads(message["Body"])
        if "Records" not in body and "Message" in body:
            body = json.loads(body["Message"])
        created = []
        for record in body.get("Records", []):
            if record["eventName"].startswith(("ObjectCreated:", "s3:ObjectCreated:")):
                item = record["s3"]["object"]
                write = item.get("versionId") or item.get("sequencer") or record.get("eventTime") or item.get("eTag")
                created.append(_Created(record["s3"]["bucket"]["name"], unquote_plus(item["key"]), str(write or "?")))
        return created
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LandingError(
            f"A message of the queue is none of S3's ({error!r}): {str(message)[:300]}. Look at who writes to the queue. "
            "The schedule's own run takes the day all the same."
        ) from error


def _partition(item: _Created, raw: Raw) -> str | None:
    place = urlsplit(raw.url)
    match = re.fullmatch(rf"{re.escape(place.path.lstrip('/'))}/dt=([^/]+)/{re.escape(raw.marker)}", item.key)
    if item.bucket != place.netloc or match is None:
        return None
    try:
        return partition.parse(match.group(1)).isoformat()
    except PartitionError:
        return None
