"""The content of objects in S3, as it arrives, and what S3 knows of its parts. A failure is a StoreError that names the object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from retrain.store.s3 import is_absent, naming, split

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 1 << 20  # bytes


def chunks(client: S3Client, url: str) -> Iterator[bytes]:
    """The object's bytes in pieces of 1 MiB, as they arrive."""
    bucket, key = split(url)
    with naming("GetObject", url):
        answer = client.get_object(Bucket=bucket, Key=key)
    yield from body_chunks(answer, url)


def open_version(client: S3Client, url: str, version_id: str | None) -> Any | None:
    """S3's answer to GetObject with checksums, its body still to be read; None if there is no such object or version."""
    bucket, key = split(url)
    with naming("GetObject", url):
        try:
            return client.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **_of_version(version_id))
        except ClientError as error:
            if is_absent(error):
                return None
            raise


def body_chunks(answer: Any, url: str) -> Iterator[bytes]:
    """The body of an answer to GetObject in pieces of 1 MiB. botocore compares S3's checksum of the whole object, if there is one.

    Raises:
        StoreUnreachableError: the body ended too early, or has another checksum.
    """
    with naming("GetObject", url):
        yield from answer["Body"].iter_chunks(_CHUNK)


def part_size(client: S3Client, url: str, version_id: str | None = None, number: int = 1) -> int | None:
    """The bytes of a part of a multipart upload, by default of the first; None if the server does not know."""
    bucket, key = split(url)
    with naming("HeadObject", url):
        try:
            part = client.head_object(Bucket=bucket, Key=key, PartNumber=number, **_of_version(version_id))
        except ClientError:
            return None
    return int(part["ContentLength"]) if part.get("PartsCount") else None


def _of_version(version_id: str | None) -> dict[str, Any]:
    return {} if version_id is None else {"VersionId": version_id}
