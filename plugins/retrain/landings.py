"""What S3's messages say has landed: the runs to start. Pure.

A message may come twice, late, or behind a newer one: the same landing always makes the same run id, and Airflow has a run id once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from retrain import partition
from retrain.deployment import Raw
from retrain.errors import LandingError, PartitionError

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")


def runs(messages: Iterable[Mapping[str, Any]], raw: Raw) -> list[dict[str, Any]]:
    """What to start for these messages of the queue: `trigger_run_id` and `conf` of each, a landing once.

    S3's test events and other keys than `dt=<partition>/<marker>` below the pipeline's raw data are not ours.

    Raises:
        LandingError: a message that is none of S3's.
    """
    found: dict[str, dict[str, Any]] = {}
    for message in messages:
        for record in _records(message):
            day = _partition(record, raw)
            if day is not None:
                name = f"landed__{day}__{_UNSAFE.sub('-', _landing(record))}"
                found[name] = {"trigger_run_id": name, "conf": {"partition": day}}
    return list(found.values())


def _records(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The records of a message, whether S3 wrote to the queue itself or SNS passed it on."""
    try:
        body = json.loads(message["Body"])
        if "Records" not in body and "Message" in body:
            body = json.loads(body["Message"])
        records: list[Mapping[str, Any]] = body.get("Records", [])
        return [record for record in records if record["eventName"].startswith(("ObjectCreated:", "s3:ObjectCreated:"))]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LandingError(
            f"A message of the queue is none of S3's ({error!r}): {str(message)[:300]}. Look at who writes to the queue. "
            "The schedule's own run takes the day all the same."
        ) from error


def _partition(record: Mapping[str, Any], raw: Raw) -> str | None:
    place = urlsplit(raw.url)
    bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
    match = re.fullmatch(rf"{re.escape(place.path.lstrip('/'))}/dt=([^/]+)/{re.escape(raw.marker)}", key)
    if bucket != place.netloc or match is None:
        return None
    try:
        return partition.parse(match.group(1)).isoformat()
    except PartitionError:
        return None


def _landing(record: Mapping[str, Any]) -> str:
    """What tells a landing from the one before it: a marker is empty, so its ETag never changes."""
    item = record["s3"]["object"]
    return str(item.get("versionId") or item.get("sequencer") or record.get("eventTime") or item.get("eTag", "?"))
