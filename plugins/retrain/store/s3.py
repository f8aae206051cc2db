"""Requests to S3. Each names an object or a folder by its URL `s3://bucket/key`; a failure is a StoreError that names it too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from retrain.errors import OverwrittenError, StoreError, StoreForbiddenError, StoreUnreachableError
from retrain.run.manifest import Manifest, RawObject, day_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ABSENT = ("404", "NoSuchKey", "NotFound")
_EXISTS = ("PreconditionFailed", "412")
_FORBIDDEN = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")  # SNS has a name of its own
_OF_ONE_OBJECT = ("HeadObject", "GetObject")
_CHUNK = 1 << 20  # bytes
AT_ONCE = 16  # requests that a task or a command sends at the same time; a client keeps as many connections
_DELETED_AT_ONCE = 1000  # S3's limit


def split(url: str) -> tuple[str, str]:
    """The bucket and the key of `s3://bucket/some/key`."""
    parts = urlsplit(url)
    return parts.netloc, parts.path.lstrip("/")


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
        code = error.response.get("Error", {}).get("Code", "?")
        hint, kind = "Clear the task when it answers", StoreError
        if code in _FORBIDDEN:
            kind = StoreForbiddenError
            hint = "Give the role this permission"
            if action in _OF_ONE_OBJECT:
                hint += ", and s3:ListBucket: without that S3 answers so for an object that is not there"
        elif code == "NoSuchBucket":
            hint = "Create the bucket, or correct the pipeline's file"
        raise kind(f"{service} answered {code} to {action} on {place}. {hint}.") from error
    except BotoCoreError as error:
        raise StoreUnreachableError(
            f"{service} did not answer {action} on {place} ({error}). Clear the task when it does."
        ) from error


def list_versions(client: S3Client, url: str, first: str, last: str) -> list[RawObject]:
    """The current objects below `url` with keys (relative to it) from `first` to the last one that begins with `last`.

    `version_id` is None in an unversioned bucket. Costs one request per thousand objects and old versions.
    """
    bucket, prefix = split(f"{url}/")
    found: list[RawObject] = []
    marker: dict[str, str] = {"KeyMarker": f"{prefix}{first}"}
    while marker:
        with naming("ListObjectVersions", url):
            page = client.list_object_versions(Bucket=bucket, Prefix=prefix, **marker)  # type: ignore[arg-type]
        marker = {}
        for version in page.get("Versions", ()):
            key = version["Key"].removeprefix(prefix)
            if key[: len(last)] > last:
                return found
            if version["IsLatest"]:
                named = version.get("VersionId")
                version_id = None if named in (None, "null") else named
                found.append(RawObject(key, version["ETag"].strip('"'), version["Size"], version_id))
        if page.get("IsTruncated"):
            following = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page.get("NextVersionIdMarker")}
            marker = {name: value for name, value in following.items() if value}  # S3 refuses an empty marker
    return found


def require_unchanged(client: S3Client, manifest: Manifest) -> None:
    """Check that the raw objects of a manifest can still be read as they were. Costs one listing in an unversioned bucket.

    Raises:
        OverwrittenError: an object without a version id has been overwritten or deleted.
    """
    if manifest.versioned:
        return
    keys = sorted(item.key for item in manifest.objects)
    first, last = (f"dt={day_of(key)}" for key in (keys[0], keys[-1]))
    gone = manifest.overwritten(list_versions(client, manifest.root, first, last))
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
            if _is_absent(error):
                return None
            raise


def part_size(client: S3Client, url: str) -> int | None:
    """The bytes of the first part of a multipart upload; None if the server does not know."""
    bucket, key = split(url)
    with naming("HeadObject", url):
        try:
            first = client.head_object(Bucket=bucket, Key=key, PartNumber=1)
        except ClientError:
            return None
    return int(first["ContentLength"]) if first.get("PartsCount") else None


def _is_absent(error: ClientError) -> bool:
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
            if _is_absent(error):
                return None
            raise


def chunks(client: S3Client, url: str) -> Iterator[bytes]:
    """The object's bytes in pieces of 1 MiB, as they arrive."""
    bucket, key = split(url)
    with naming("GetObject", url):
        yield from client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK)


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


def upload(client: S3Client, url: str, path: Path, part: int) -> int:
    """Write a file to S3 in place of any object there, in parts of `part` bytes if it is larger; returns the number of requests."""
    from boto3.s3.transfer import TransferConfig, create_transfer_manager

    bucket, key = split(url)
    size = path.stat().st_size
    config = TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=4)
    # Not client.upload_file: it replaces S3's error, which names what was refused, by one of its own.
    with naming("PutObject", url), create_transfer_manager(client, config) as transfers:
        transfers.upload(str(path), bucket, key).result()
    return 1 if size < part else 2 + -(-size // part)


def delete(client: S3Client, url: str, keys: Sequence[str]) -> int:
    """Delete the objects with these keys, relative to `url`; returns how many were deleted.

    Raises:
        StoreError: S3 refused to delete one; the sentence says how many are deleted already.
    """
    bucket, prefix = split(f"{url}/")
    for start in range(0, len(keys), _DELETED_AT_ONCE):
        batch = [{"Key": prefix + key} for key in keys[start : start + _DELETED_AT_ONCE]]
        with naming("DeleteObjects", url):
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})  # type: ignore[typeddict-item]
        refused = answer.get("Errors", [])
        if refused:
            raise StoreError(
                f"S3 refused to delete {refused[0].get('Key')}: {refused[0].get('Code')}, {len(refused)} of {len(batch)} in all; "
                f"{start + len(batch) - len(refused)} objects were removed. Give the role s3:DeleteObject, then run it again."
            )
    return len(keys)
