"""Requests to S3. Each names an object or a folder by its URL `s3://bucket/key`; a failure is a StoreError that names it too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from retrain.errors import OverwrittenError, StoreError, StoreForbiddenError, StoreUnreachableError
from retrain.run.manifest import ListedRaw, Manifest, RawObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_ABSENT = ("404", "NoSuchKey", "NoSuchVersion", "NotFound")
_EXISTS = ("PreconditionFailed", "412")
_FORBIDDEN = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")  # SNS has a name of its own
_UNKNOWN_KEY = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId", "InvalidToken", "ExpiredToken")
_OF_ONE_OBJECT = ("HeadObject", "GetObject")
_PERMISSIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
}  # named otherwise than the action
AT_ONCE = 16  # requests that a task or a command sends at the same time; a client keeps as many connections
_UNSUPPORTED = (405, 501)  # HTTP's Method Not Allowed, and Not Implemented


def split(url: str) -> tuple[str, str]:
    """The bucket and the key of `s3://bucket/some/key`. A key may have any characters, `?` and `#` among them."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


@contextmanager
def naming(action: str, place: str, service: str = "S3") -> Iterator[None]:
    """Translate botocore's errors into ours, which name the action, the place and the next step.

    Raises:
        StoreError: the service refused; a StoreForbiddenError if the role lacks the permission.
        StoreUnreachableError: the service did not answer.
    """
    try:
        yield
    except ClientError as error:
        raise refused(error.response.get("Error", {}).get("Code", "?"), action, place, service) from error
    except BotoCoreError as error:
        raise unanswered(str(error), action, place, service) from error


def refused(code: str, action: str, place: str, service: str = "S3", task: str = "the task") -> StoreError:
    """The error for an answer with this code. `task` names the task that is then cleared."""
    kind, hint = StoreError, f"Clear {task} when it answers"
    if code in _FORBIDDEN:
        kind, hint = StoreForbiddenError, f"Give the role {_PERMISSIONS.get(action, 'this permission')}"
        if action in _OF_ONE_OBJECT:
            hint += ", and s3:ListBucket: without that S3 answers so for an object that is not there"
        if task != "the task":
            hint += f", then clear {task}"
    elif code in _UNKNOWN_KEY:
        hint = f"Correct the key of the connection, then clear {task}"
    elif code == "NoSuchBucket":
        hint = "Create the bucket, or correct the pipeline's file"
    elif code == "InvalidObjectState":
        hint = f"The object is in an archive such as Glacier: restore it in S3, then clear {task}"
    return kind(f"{service} answered {code} to {action} on {place}. {hint}.")


def unanswered(
    reason: str, action: str, place: str, service: str = "S3", task: str = "the task"
) -> StoreUnreachableError:
    """The error for a request that got no answer. `task` names the task that is then cleared."""
    return StoreUnreachableError(f"{service} did not answer {action} on {place} ({reason}). Clear {task} when it does.")


# The buckets whose server does not list versions, by the server's address. A process asks each of them once.
_without_versions: set[tuple[str, str]] = set()


def list_versions(client: S3Client, url: str, first: str, last: str) -> list[ListedRaw]:
    """The current objects below `url` with keys (relative to it) from `first` to the last one that begins with `last`.

    `version_id` is None in an unversioned bucket, and where the server does not know ListObjectVersions (Garage, R2). Costs one
    request per thousand objects and old versions.
    """
    # S3 lists the keys behind a marker, and `first` may be a key itself.
    before = f"{first[:-1]}{chr(ord(first[-1]) - 1)}~" if first else ""
    found: list[ListedRaw] = []
    for each in _current(client, url, before):
        if each.object.key[: len(last)] > last:
            break
        if each.object.key >= first:
            found.append(each)
    return found


def _current(client: S3Client, url: str, after: str) -> Iterator[ListedRaw]:
    """The current objects with keys behind `after`, each with its version if the server lists versions."""
    bucket, prefix = split(f"{url}/")
    place = (client.meta.endpoint_url, bucket)
    version_marker: dict[str, str] = {}
    while place not in _without_versions:
        page = _page_of_versions(client, url, KeyMarker=f"{prefix}{after}", **version_marker)
        if page is None:
            log.warning("%s does not list the versions in %s, which counts as a bucket without versions.", *place)
            _without_versions.add(place)
            break
        for version in page.get("Versions", ()):
            if version["IsLatest"]:
                named = version.get("VersionId")
                item = RawObject(
                    version["Key"].removeprefix(prefix),
                    version["ETag"].strip('"'),
                    version["Size"],
                    None if named in (None, "null") else named,
                )
                yield ListedRaw(item, version["LastModified"])
        if not page.get("IsTruncated"):
            return
        after, following = page["NextKeyMarker"].removeprefix(prefix), page.get("NextVersionIdMarker")
        version_marker = {"VersionIdMarker": following} if following else {}  # S3 refuses an empty one
    for entry in entries(client, url, after=after):
        yield ListedRaw(RawObject(entry.key, entry.etag, entry.size, None), entry.at)


def _page_of_versions(client: S3Client, url: str, **markers: str) -> Any | None:
    """S3's answer to ListObjectVersions; None from a server that does not know it."""
    bucket, prefix = split(f"{url}/")
    with naming("ListObjectVersions", url):
        try:
            page = client.list_object_versions(Bucket=bucket, Prefix=prefix, **markers)  # type: ignore[arg-type]
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in _UNSUPPORTED:
                return None
            raise
    # Ozone up to 2.2 ignores `?versions` and lists the objects: no marker comes back, and no version is in the answer.
    return page if "KeyMarker" in page else None


def require_unchanged(client: S3Client, manifest: Manifest) -> None:
    """Check that the raw objects of a manifest can still be read as they were. Costs one listing in an unversioned bucket.

    Raises:
        OverwrittenError: an object without a version id has been overwritten or deleted.
    """
    if manifest.versioned:
        return
    keys = sorted(item.key for item in manifest.objects)
    # From the folder on, not from the key: a server may leave out the first key behind a marker that is no key (moto).
    present = list_versions(client, manifest.root, keys[0].rpartition("/")[0], keys[-1])
    gone = manifest.overwritten(each.object for each in present)
    if gone:
        raise OverwrittenError(
            f"{manifest.root}/{gone[0]} ({len(gone)} objects in all) was overwritten or deleted since the run was resolved, and its bucket "
            "keeps no versions: those bytes are lost. To run with the data as it is now, clear resolve_run; what was recorded "
            "comes back with make restore. Turn on the bucket's versioning."
        )


@dataclass(frozen=True)
class ListedObject:
    """One object of a listing: its key relative to the listed folder, size in bytes, ETag, time of the last write."""

    key: str
    size: int
    etag: str
    at: datetime


def entries(
    client: S3Client, url: str, *, prefix: str = "", after: str = "", until: str = ""
) -> Iterator[ListedObject]:
    """The objects below the folder `url`, sorted by key, page by page.

    Args:
        client: an S3 client.
        url: the folder.
        prefix: only keys that begin with this.
        after: only keys that sort after this one.
        until: only keys up to this one; pages behind it are not asked for.
    """
    bucket, folder = split(f"{url}/")
    with naming("ListObjectsV2", url):
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{folder}{prefix}", StartAfter=f"{folder}{after}"
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                key = entry["Key"].removeprefix(folder)
                if until and key > until:
                    return
                yield ListedObject(key, entry["Size"], entry["ETag"].strip('"'), entry["LastModified"])


def list_objects(
    client: S3Client, url: str, after: str = "", until: str = "", *, prefix: str = ""
) -> dict[str, tuple[int, datetime]]:
    """The objects below `url`, by key relative to it: size in bytes, time of the last write. Arguments as for `entries`."""
    listed = entries(client, url, prefix=prefix, after=after, until=until)
    return {each.key: (each.size, each.at) for each in listed}


def list_folders(client: S3Client, url: str) -> list[str]:
    """The names of the folders directly below `url`."""
    bucket, prefix = split(f"{url}/")
    with naming("ListObjectsV2", url):
        return [
            common["Prefix"].removeprefix(prefix).rstrip("/")
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
            for common in page.get("CommonPrefixes", ())
        ]


def page(client: S3Client, url: str, after: str, size: int) -> tuple[dict[str, tuple[int, str]], bool]:
    """One page of the listing of `url`, by key relative to it: size in bytes, ETag. The second value is True if keys follow.

    Args:
        client: an S3 client.
        url: the folder.
        after: only keys that sort after this one.
        size: the number of keys in a full page, at most 1000.
    """
    bucket, prefix = split(f"{url}/")
    with naming("ListObjectsV2", url):
        found = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=size, StartAfter=f"{prefix}{after}")
    entries = {
        each["Key"].removeprefix(prefix): (each["Size"], each["ETag"].strip('"')) for each in found.get("Contents", ())
    }
    return entries, bool(found.get("IsTruncated"))


def head(client: S3Client, url: str) -> Any | None:
    """S3's answer to HeadObject with checksums; None if there is no such object."""
    bucket, key = split(url)
    with naming("HeadObject", url):
        try:
            return client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if is_absent(error):
                return None
            raise


def is_absent(error: ClientError) -> bool:
    """True if S3 answered that there is no such object, or no such version of it."""
    return error.response.get("Error", {}).get("Code") in _ABSENT


def get(client: S3Client, url: str) -> bytes | None:
    """The object's bytes; None if there is no such object."""
    found = get_with_etag(client, url)
    return None if found is None else found[0]


def get_with_etag(client: S3Client, url: str) -> tuple[bytes, str] | None:
    """The object's bytes and their ETag; None if there is no such object."""
    bucket, key = split(url)
    with naming("GetObject", url):
        try:
            found = client.get_object(Bucket=bucket, Key=key)
            return found["Body"].read(), found.get("ETag", "").strip('"')
        except ClientError as error:
            if is_absent(error):
                return None
            raise


def create(client: S3Client, url: str, body: bytes) -> bool:
    """Write an object unless it exists; returns True if it was written."""
    bucket, key = split(url)
    with naming("PutObject", url):
        try:
            client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _EXISTS:
                return False
            raise
    return True
