"""S3, for what is ours: listing raw objects, reading and create-only writing of small documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from retrain.errors import OverwrittenError, StoreError, StoreUnreachableError
from retrain.run.manifest import Manifest, RawObject, day_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ABSENT = ("404", "NoSuchKey", "NotFound")
_EXISTS = ("PreconditionFailed", "412")
_FORBIDDEN = ("AccessDenied", "403")
_OF_ONE_OBJECT = ("HeadObject", "GetObject")


def split(url: str) -> tuple[str, str]:
    """`s3://bucket/some/prefix` as bucket and key."""
    parts = urlsplit(url)
    return parts.netloc, parts.path.lstrip("/")


@contextmanager
def naming(action: str, place: str, service: str = "S3") -> Iterator[None]:
    """Translate botocore's errors into StoreError, which names the action, the place and the next step."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "?")
        hint = "Clear the task when it answers"
        if code in _FORBIDDEN:
            hint = "Give the role this permission"
            if action in _OF_ONE_OBJECT:
                hint += ", and s3:ListBucket: without that S3 answers so for an object that is not there"
        elif code == "NoSuchBucket":
            hint = "Create the bucket, or correct the pipeline's file"
        raise StoreError(f"{service} answered {code} to {action} on {place}. {hint}.") from error
    except BotoCoreError as error:
        raise StoreUnreachableError(
            f"{service} did not answer {action} on {place} ({error}). Clear the task when it does."
        ) from error


def list_versions(client: S3Client, url: str, first: str, last: str) -> list[RawObject]:
    """The present objects below `url` whose keys, relative to it, are from `first` up to `last` with anything behind it.

    One request a thousand objects or old versions. In an unversioned bucket `version_id` is None.
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
    """OverwrittenError when an object of the manifest has no version to be read by, and is another one now. One listing."""
    if manifest.versioned:
        return
    keys = sorted(item.key for item in manifest.objects)
    first, last = (f"dt={day_of(key)}" for key in (keys[0], keys[-1]))
    gone = manifest.overwritten(list_versions(client, manifest.root, first, last))
    if gone:
        raise OverwrittenError(
            f"{manifest.root}/{gone[0]} ({len(gone)} objects in all) was overwritten or deleted since the run was resolved, and its bucket "
            "keeps no versions: those bytes cannot be had. To run with the data as it is now, clear resolve_run; what was recorded "
            "comes back with make restore. Turn on the bucket's versioning."
        )


def list_objects(client: S3Client, url: str, after: str = "") -> dict[str, tuple[int, datetime]]:
    """Every object below `url`, or those that sort after a key: key relative to it -> (size in bytes, when it was written)."""
    bucket, prefix = split(f"{url}/")
    with naming("ListObjectsV2", url):
        return {
            entry["Key"].removeprefix(prefix): (entry["Size"], entry["LastModified"])
            for page in client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix, StartAfter=f"{prefix}{after}"
            )
            for entry in page.get("Contents", ())
        }


def list_folders(client: S3Client, url: str) -> list[str]:
    """The names of the folders right below `url`."""
    bucket, prefix = split(f"{url}/")
    with naming("ListObjectsV2", url):
        return [
            common["Prefix"].removeprefix(prefix).rstrip("/")
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
            for common in page.get("CommonPrefixes", ())
        ]


def is_absent(error: ClientError) -> bool:
    """Whether S3 said that there is no such object."""
    return error.response.get("Error", {}).get("Code") in _ABSENT


def get(client: S3Client, url: str) -> bytes | None:
    """The object's bytes, or None when there is none."""
    bucket, key = split(url)
    with naming("GetObject", url):
        try:
            return client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if is_absent(error):
                return None
            raise


def create(client: S3Client, url: str, body: bytes) -> bool:
    """Write an object that does not exist yet; False, and nothing written, when it does."""
    bucket, key = split(url)
    with naming("PutObject", url):
        try:
            client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _EXISTS:
                return False
            raise
    return True
