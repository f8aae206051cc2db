"""Land partitions in S3, as the source of the raw data does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from stack_model import RAW_BUCKET

from trips.errors import NoTripsError, UploadError
from trips.partitions import DATASET, days, part_path, raw_dir
from trips.progress import Report, silent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = f"raw/{DATASET}"
UPLOADS_AT_ONCE = 8


@dataclass(frozen=True)
class Landed:
    """The days of one landing, as YYYY-MM-DD: uploaded, unchanged in the bucket, absent because there are no trips."""

    uploaded: list[str]
    unchanged: list[str]
    absent: list[str]


def land(
    first: date,
    last: date,
    *,
    bucket: str = RAW_BUCKET,
    prefix: str = PREFIX,
    state: Path | None = None,
    progress: Report = silent,
    client: S3Client | None = None,
) -> Landed:
    """Upload the cut partitions from `first` to `last`: each day's Parquet file, then its `_SUCCESS` marker.

    A day is skipped if the bucket holds its marker and its file with the same ETag, so a second call uploads nothing.
    A file that has changed is uploaded again, and so is its marker.

    Raises:
        NoTripsError: no day of the range has been cut.
        UploadError: S3 cannot be reached, or refuses.
    """
    root = raw_dir(state)
    wanted = days(first, last)
    present = [day for day in wanted if part_path(day, root).is_file()]
    if not present:
        raise NoTripsError(
            f"There are no trips from {first} to {last} in {root}. Run `python infra/local/trips cut` first."
        )
    with _s3_errors(bucket):
        s3 = client or _s3_client()
        etags = _etags(s3, bucket, prefix)

        def upload(day: str) -> bool:
            part, marker = f"{prefix}/dt={day}/part-0.parquet", f"{prefix}/dt={day}/_SUCCESS"
            content = part_path(day, root).read_bytes()
            same = etags.get(part) == hashlib.md5(content, usedforsecurity=False).hexdigest()
            if same and marker in etags:
                return False
            if not same:
                s3.put_object(Bucket=bucket, Key=part, Body=content)
            s3.put_object(Bucket=bucket, Key=marker, Body=b"")
            return True

        uploaded: list[str] = []
        unchanged: list[str] = []
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            for number, (day, changed) in enumerate(zip(present, pool.map(upload, present), strict=True), start=1):
                (uploaded if changed else unchanged).append(day)
                progress("Landing days", number, len(present))
    return Landed(uploaded, unchanged, [day for day in wanted if day not in set(present)])


def _s3_client() -> S3Client:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=UPLOADS_AT_ONCE,
    )
    client: S3Client = boto3.client("s3", config=config)
    return client


@contextmanager
def _s3_errors(bucket: str) -> Iterator[None]:
    """Translate boto3's exceptions into UploadError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as e:
        raise UploadError(
            f"The trips could not be uploaded to the bucket {bucket} ({e}). Check AWS_ENDPOINT_URL, the AWS credentials, "
            "and that the bucket exists (`make up` starts a local S3). Then run this again: it continues where it stopped."
        ) from e


def _etags(s3: S3Client, bucket: str, prefix: str) -> Mapping[str, str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    return {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}
