"""Objects that are written again or deleted: those of DVC. The ledger's are only created (`s3.create`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrain.errors import StoreError
from retrain.store.s3 import naming, split

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DELETED_AT_ONCE = 1000  # S3's limit


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
