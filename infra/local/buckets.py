"""The buckets of the local stack. Each start configures them again, because the S3 server can lose their settings in a crash."""

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
    """The S3 server cannot be reached, or refused to create or configure a bucket."""


def s3_client(stack: Stack) -> S3Client:
    """Return a client of the stack's S3 server."""
    return boto3.client(
        "s3",
        endpoint_url=stack.s3_url,
        region_name=REGION,
        aws_access_key_id=stack.secrets.s3_access_key,
        aws_secret_access_key=stack.secrets.s3_secret_key,
        config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 3, "mode": "standard"}),
    )


def apply_buckets(stack: Stack) -> bool:
    """Create the missing buckets, and turn on versioning for the bucket of raw data. True if a bucket was created.

    Raises:
        BucketError: the server refuses, or does not answer.
    """
    try:
        return _apply(s3_client(stack))
    except (BotoCoreError, ClientError) as error:
        log = stack.log_dir / "s3.log"
        raise BucketError(
            f"The buckets could not be created on the S3 server at {stack.s3_url}: {error}. See {log}."
        ) from error


def _apply(client: S3Client) -> bool:
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    missing = [name for name in _BUCKETS if name not in present]
    for name in missing:
        client.create_bucket(Bucket=name)
    # A corrected partition overwrites its object. The manifests of earlier runs name the version that they read.
    client.put_bucket_versioning(Bucket=RAW_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return bool(missing)
