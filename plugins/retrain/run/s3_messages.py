"""The objects that a message of an SQS queue reports as written, by whichever way S3 sent it.

S3 writes to the queue itself, or through SNS (with or without SNS's envelope), or through EventBridge, with SNS behind it or not.
S3's own records quote a key as in an address; EventBridge's do not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from retrain.errors import LandingError

_CREATED = ("ObjectCreated:", "s3:ObjectCreated:")
_NO_VERSION = (None, "", "null")  # of a bucket that keeps none
_QUOTED = 300  # characters of a message in an error


@dataclass(frozen=True)
class WrittenObject:
    """An object that S3 wrote. `write` identifies the write: a marker is empty, so its ETag is always the same.

    `at` is the time of the write, aware; None if the message has none.
    """

    bucket: str
    key: str
    write: str
    at: datetime | None


def written_objects(message: Mapping[str, Any]) -> list[WrittenObject]:
    """The objects that a message reports as written. There is none in S3's test event, or when S3 reports something else.

    Raises:
        LandingError: the message is not S3's.
    """
    try:
        body = json.loads(message["Body"])
        if "Records" not in body and body.get("Type") == "Notification":
            body = json.loads(body["Message"])
        if body.get("Records"):
            return [_of_record(each) for each in body["Records"] if _is_creation(each)]
        if body.get("Event") == "s3:TestEvent":
            return []
        if body.get("source") == "aws.s3" and body["detail-type"].startswith("Object "):
            return [_of_event(body)] if body["detail-type"] == "Object Created" else []
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unknown(f"{error!r}: {str(message)[:_QUOTED]}") from error
    raise _unknown(_description(body))


def _is_creation(record: Mapping[str, Any]) -> bool:
    return bool(record["s3"]) and record["eventName"].startswith(_CREATED)


def _of_record(record: Mapping[str, Any]) -> WrittenObject:
    item, time = record["s3"]["object"], record.get("eventTime")
    write = _write(item.get("versionId"), item.get("sequencer"), time, item.get("eTag"))
    return WrittenObject(record["s3"]["bucket"]["name"], unquote_plus(item["key"]), write, _moment(time))


def _of_event(event: Mapping[str, Any]) -> WrittenObject:
    item, time = event["detail"]["object"], event.get("time")
    write = _write(item.get("version-id"), item.get("sequencer"), time, item.get("etag"))
    return WrittenObject(event["detail"]["bucket"]["name"], item["key"], write, _moment(time))


def _write(version: str | None, *others: str | None) -> str:
    return next((str(each) for each in (version if version not in _NO_VERSION else None, *others) if each), "?")


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _description(body: Mapping[str, Any]) -> str:
    """What a message is that nobody expects. Other messages of SNS have a token, so none of their text is quoted."""
    if "detail-type" in body:
        return f"an event of {body.get('source')} with the detail-type {body['detail-type']}"
    if "TopicArn" in body:
        return f"a message of SNS with the type {body.get('Type')}"
    return f"a document with the keys {', '.join(sorted(body)) or '(none)'}: {str(body)[:_QUOTED]}"


def _unknown(said: str) -> LandingError:
    return LandingError(
        f"A message of the queue is not S3's: {said}. Find out who writes to the queue; infra/docs/bring-your-own-pipeline.md names the "
        "messages that start a run. The scheduled run still processes the day."
    )
