"""Requests to S3 about a bucket's settings, and harmless ones that show what a role may do. None changes an object."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from retrain.errors import StoreForbiddenError
from retrain.store.s3 import naming, split

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PROBE = "doctor-probe"  # a key that no object has


@dataclass(frozen=True)
class Expiration:
    """A lifecycle rule that deletes current objects: its id, and the prefix of their keys."""

    id: str
    prefix: str


@dataclass(frozen=True)
class BucketNotification:
    """What S3 notifies when an object is created: a queue or a topic, for keys with this prefix and this suffix."""

    arn: str
    prefix: str
    suffix: str


def _setting(bucket: str, action: str, ask: Callable[[], Any], absent: str = "") -> Any:
    """The answer to `ask`; {} if S3 answers `absent`, its error for a setting that was never made."""
    with naming(action, f"s3://{bucket}"):
        try:
            return ask()
        except ClientError as error:
            if absent and error.response.get("Error", {}).get("Code") == absent:
                return {}
            raise


def first_key(client: S3Client, url: str) -> tuple[str | None, datetime | None]:
    """The first key below the folder `url`, None if there is none; and the server's time.

    Raises:
        StoreError: there is no such bucket, or the role may not list the folder.
    """
    bucket, prefix = split(f"{url}/")
    with naming("ListObjectsV2", url):
        page = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    date = page["ResponseMetadata"]["HTTPHeaders"].get("date")
    keys = [each["Key"] for each in page.get("Contents", ())]
    return (keys[0] if keys else None), (parsedate_to_datetime(date) if date else None)


def region(client: S3Client, bucket: str) -> str | None:
    """The bucket's region, which S3 names to everybody; None if the server does not."""
    try:
        answer: Any = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    found = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
    return None if found is None else str(found)


def versioning(client: S3Client, bucket: str) -> str:
    """Enabled, Suspended, or empty where it was never on."""
    answer = _setting(bucket, "GetBucketVersioning", lambda: client.get_bucket_versioning(Bucket=bucket))
    return str(answer.get("Status", ""))


def lock_mode(client: S3Client, bucket: str) -> str:
    """The mode in which new objects are locked; empty if they are not."""
    answer = _setting(
        bucket,
        "GetObjectLockConfiguration",
        lambda: client.get_object_lock_configuration(Bucket=bucket),
        "ObjectLockConfigurationNotFoundError",
    )
    rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {})
    return str(rule.get("DefaultRetention", {}).get("Mode", ""))


def refuses_public_access(client: S3Client, bucket: str) -> bool:
    """True if the bucket blocks public access in all four ways."""
    answer = _setting(
        bucket,
        "GetPublicAccessBlock",
        lambda: client.get_public_access_block(Bucket=bucket),
        "NoSuchPublicAccessBlockConfiguration",
    )
    block = answer.get("PublicAccessBlockConfiguration", {})
    return bool(block) and all(block.values())


def encryption(client: S3Client, bucket: str) -> str:
    """The algorithm with which objects are encrypted; empty if they are not."""
    answer = _setting(
        bucket,
        "GetBucketEncryption",
        lambda: client.get_bucket_encryption(Bucket=bucket),
        "ServerSideEncryptionConfigurationNotFoundError",
    )
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    return next((str(each["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]) for each in rules), "")


def expirations(client: S3Client, bucket: str) -> list[Expiration]:
    """The lifecycle rules that delete current objects."""
    answer = _setting(
        bucket,
        "GetBucketLifecycleConfiguration",
        lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket),
        "NoSuchLifecycleConfiguration",
    )
    return [
        Expiration(str(each.get("ID", "?")), _prefix(each))
        for each in answer.get("Rules", [])
        if each.get("Status") == "Enabled" and {"Days", "Date"} & set(each.get("Expiration", {}))
    ]


def _prefix(rule: dict[str, Any]) -> str:
    """The prefix of a lifecycle rule: in its filter, in the filter's `And` beside tags or sizes, or by itself in an old rule."""
    chosen = rule.get("Filter", {})
    return str(chosen.get("And", chosen).get("Prefix") or rule.get("Prefix") or "")


def sends_to_eventbridge(client: S3Client, bucket: str) -> bool:
    """True if the bucket sends its events to EventBridge."""
    return "EventBridgeConfiguration" in _notification(client, bucket)


def _notification(client: S3Client, bucket: str) -> Any:
    return _setting(
        bucket,
        "GetBucketNotificationConfiguration",
        lambda: client.get_bucket_notification_configuration(Bucket=bucket),
    )


def notifications(client: S3Client, bucket: str) -> list[BucketNotification]:
    """What the bucket notifies of created objects."""
    answer = _notification(client, bucket)
    found = []
    for kind, arn in (("QueueConfigurations", "QueueArn"), ("TopicConfigurations", "TopicArn")):
        for each in answer.get(kind, []):
            if not any(event.startswith("s3:ObjectCreated:") for event in each["Events"]):
                continue
            rules = {
                rule["Name"].lower(): rule["Value"]
                for rule in each.get("Filter", {}).get("Key", {}).get("FilterRules", [])
            }
            found.append(BucketNotification(each[arn], rules.get("prefix", ""), rules.get("suffix", "")))
    return found


def may_list(client: S3Client, url: str) -> bool:
    """True if the role may list the folder `url`."""
    with suppress(StoreForbiddenError):
        first_key(client, url)
        return True
    return False


def may_write(client: S3Client, url: str) -> bool:
    """True if the role may write below the folder `url`: it may begin an upload in parts, which is ended without an object."""
    bucket, prefix = split(f"{url}/")
    key = f"{prefix}{_PROBE}"
    with suppress(StoreForbiddenError), naming("CreateMultipartUpload", url):
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        return True
    return False


def may_delete(client: S3Client, url: str) -> bool:
    """True if the role may delete versions below the folder `url`: asked of a version that does not exist."""
    bucket, prefix = split(f"{url}/")
    with suppress(StoreForbiddenError), naming("DeleteObject", url):
        try:
            client.delete_object(Bucket=bucket, Key=f"{prefix}{_PROBE}", VersionId="0" * 32)
        except ClientError as error:
            # AWS checks the permission before the version's id, which no object has.
            if error.response.get("Error", {}).get("Code") not in ("InvalidArgument", "NoSuchVersion"):
                raise
        return True
    return False
