"""The runs to start for S3's messages about landed markers.

A message may arrive twice, late, or after a newer one. The same landing always gives the same run id, which Airflow accepts once.
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
    """The messages of the queue in the asset events that started a run. Each event has a batch of messages."""
    return [
        message
        for events in asset_events.values()
        for event in events
        for message in event.extra["payload"]["message_batch"]
    ]


def runs(found: Iterable[Mapping[str, Any]], raw: Raw) -> list[dict[str, Any]]:
    """`trigger_run_id` and `conf` of each run to start for these messages, without duplicates.

    S3's test events, and keys that are not `dt=<partition>/<marker>` below the pipeline's raw data, start no run. A message that is
    not S3's, or is another pipeline's, does not hold up the others: a batch is deleted when it is read. `refuse_others` names it.
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


def refuse_others(found: Iterable[Mapping[str, Any]], raw: Raw) -> None:
    """Make sure that all messages are S3's, and about objects below the pipeline's raw data.

    Raises:
        LandingError: one is not; the message quotes the first.
    """
    place = urlsplit(raw.url)
    folder = f"{place.path.lstrip('/')}/"
    for message in found:
        for item in _created(message):
            if item.bucket != place.netloc or not item.key.startswith(folder):
                raise LandingError(
                    f"The queue {raw.queue} has a message about s3://{item.bucket}/{item.key}, which is not below {raw.url}: it may "
                    "be another pipeline's, whose day now waits for its scheduled run. A queue is of one pipeline: correct the "
                    "prefix of its subscription (event_pipelines in infra/aws)."
                )


@dataclass(frozen=True)
class _Created:
    """An object that S3 wrote. `write` identifies the write: a marker is empty, so its ETag is always the same."""

    bucket: str
    key: str
    write: str


def _created(message: Mapping[str, Any]) -> list[_Created]:
    """The objects that a message reports, whether it came from S3 directly or through SNS."""
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
            f"A message of the queue is not S3's ({error!r}): {str(message)[:300]}. Find out who writes to the queue. "
            "The scheduled run still processes the day."
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
