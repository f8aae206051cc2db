"""The buckets of the local stack, made and configured at every start: the server may lose bucket settings in a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from stack_model import LEDGER_BUCKET, MLFLOW_BUCKET, RAW_BUCKET, REGION, STORE_BUCKET, Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BUCKETS = (RAW_BUCKET, STORE_BUCKET, LEDGER_BUCKET, MLFLOW_BUCKET)


class BucketError(Exception):
    """The S3 server did not take the buckets that the stack needs."""


def s3_client(stack: Stack) -> S3Client:
    """Give a client of the stack's S3 server."""
    return boto3.client(
        "s3",
        endpoint_url=stack.s3_url,
        region_name=REGION,
        aws_access_key_id=stack.secrets.s3_access_key,
        aws_secret_access_key=stack.secrets.s3_secret_key,
        config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 3, "mode": "standard"}),
    )


def apply_buckets(stack: Stack) -> bool:
    """Make what is missing and turn on versioning where raw data lands. True if a bucket was made.

    Raises BucketError when the server refuses or does not answer.
    """
    try:
        return _apply(s3_client(stack))
    except (BotoCoreError, ClientError) as error:
        log = stack.log_dir / "s3.log"
        raise BucketError(f"The S3 server at {stack.s3_url} did not take the buckets: {error}. See {log}.") from error


def _apply(client: S3Client) -> bool:
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    missing = [name for name in _BUCKETS if name not in present]
    for name in missing:
        client.create_bucket(Bucket=name)
    # A corrected partition overwrites its object; the manifest of the earlier run names the version that it read.
    client.put_bucket_versioning(Bucket=RAW_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return bool(missing)
