"""Asks S3 whether a day's raw data has landed, with as few listings as the layout allows."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from retrain.run.landed import LandingRule, landed
from retrain.run.manifest import ListedRaw, RawObject
from retrain.store import bucket_settings, s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACTION = "ListObjectsV2"
Page = Mapping[str, Any]  # S3's answer to one ListObjectsV2


def has_landed(client: S3Client, url: str, rule: LandingRule, day: str) -> bool:
    """True if the raw data of a day (YYYY-MM-DD) below `url` has landed.

    Costs one request per thousand objects that share the beginning of what is looked for, up to the first `*`: of the day's own
    marker, else of its data. One marker of several days costs one request more.

    Raises:
        StoreError: S3 refused or did not answer.
    """
    requests = look(url, rule, day)
    try:
        request = next(requests)
        while True:
            with s3.naming(ACTION, place_of(request)):
                page = client.list_objects_v2(**request)  # type: ignore[arg-type]
            request = requests.send(page)
    except StopIteration as end:
        return bool(end.value)


def look(url: str, rule: LandingRule, day: str) -> Generator[dict[str, str], Page, bool]:
    """Yields the arguments of each ListObjectsV2 to send, takes its answer, and returns whether the day has landed.

    It does no I/O, so that a trigger can send the requests asynchronously.
    """
    bucket, folder = s3.split(f"{url}/")
    of_the_day = rule.layout.keys_of(day)  # a pattern that begins with a star lists the other days' objects too
    found: list[ListedRaw] = []
    at: datetime | None = None
    for prefix in rule.prefixes(day):
        known, following = len(found), dict[str, str]()
        while True:
            page = yield {"Bucket": bucket, "Prefix": f"{folder}{prefix}", **following}
            at = at or time_of(page)
            listed = (_listed(entry, folder) for entry in page.get("Contents", ()))
            found += (each for each in listed if of_the_day.match(each.key))
            if not page.get("IsTruncated"):
                break
            following = {"ContinuationToken": page["NextContinuationToken"]}
        if len(found) == known:
            return False
    return day in landed(rule, found, [day], at or datetime.now(UTC))


def place_of(request: Mapping[str, str]) -> str:
    """The part of the bucket that a request lists, as a URL."""
    return f"s3://{request['Bucket']}/{request['Prefix']}"


def time_of(page: Page) -> datetime:
    """The time of an answer by S3's clock; by this machine's if the answer has none."""
    date = page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date) if date else datetime.now(UTC)


def listing_of(client: S3Client, url: str, rule: LandingRule, days: Sequence[str]) -> tuple[list[ListedRaw], datetime]:
    """The raw objects of these days and their markers, with versions; and the time, as `landed` needs it.

    Costs the listing of the days, one of the markers where these are elsewhere, and one request for S3's clock without markers.

    Raises:
        StoreError: S3 refused or did not answer.
    """
    at = None if rule.quiet is None else bucket_settings.first_key(client, url)[1]
    elsewhere = rule.layout.marker_range(days)
    # First, for a marker that is written between the two listings would vouch for objects that the other one has not seen.
    markers = s3.list_versions(client, url, *elsewhere) if elsewhere else []
    found = s3.list_versions(client, url, *rule.layout.listing_range(days))
    known = {each.key for each in markers}
    return [*markers, *(each for each in found if each.key not in known)], at or datetime.now(UTC)


def _listed(entry: Mapping[str, Any], folder: str) -> ListedRaw:
    item = RawObject(entry["Key"].removeprefix(folder), entry["ETag"].strip('"'), entry["Size"], None)
    return ListedRaw(item, entry["LastModified"])
