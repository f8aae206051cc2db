"""Our DVC remote, object by object: cheap looks, deep looks, and the upload that heals. DVC itself trusts names."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.exceptions import ClientError

from retrain.store import s3
from retrain.store.receipt import Details, Seen

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_AT_ONCE = 16
_CHUNK = 1 << 20
# A page of a listing costs about as much as this many single looks (S3's prices), and a round trip like each of them.
_LOOKS_A_PAGE = 12
_PAGE = 1000
# One PUT while it may be, for its ETag proves it; S3 takes no more than 5 GiB in one.
_UPLOAD = TransferConfig(multipart_threshold=64 << 20, multipart_chunksize=64 << 20, max_concurrency=4)
_CHECKSUMS = ("ChecksumSHA256", "ChecksumSHA1", "ChecksumCRC32")


@dataclass
class Remote:
    """The remote at `url`; `requests` counts what was asked of it."""

    client: S3Client
    url: str
    requests: int = 0
    _bucket: str = field(init=False, repr=False)
    _prefix: str = field(init=False, repr=False)
    _counting: Lock = field(init=False, repr=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._bucket, self._prefix = s3.split(f"{self.url}/")

    def _count(self, requests: int = 1) -> None:
        with self._counting:
            self.requests += requests

    def look(self, keys: Iterable[str]) -> dict[str, Seen]:
        """What is there of `keys`, at the least cost: pages of the listing while they are cheaper than single looks."""
        wanted = sorted(keys)
        if not wanted:
            return {}
        found: dict[str, Seen] = {}
        after = wanted[0][:-1]  # sorts before the first of them
        with s3.naming("ListObjectsV2", self.url):
            for _ in range(max(1, len(wanted) // _LOOKS_A_PAGE)):
                page = self.client.list_objects_v2(
                    Bucket=self._bucket, Prefix=self._prefix, MaxKeys=_PAGE, StartAfter=self._prefix + after
                )
                self._count()
                for entry in page.get("Contents", ()):
                    after = entry["Key"].removeprefix(self._prefix)
                    found[after] = Seen(entry["Size"], entry["ETag"].strip('"'))
                if not page.get("IsTruncated") or after >= wanted[-1]:
                    return {key: found[key] for key in wanted if key in found}
        rest = [key for key in wanted if key > after]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found |= {
                key: seen for key, seen in zip(rest, pool.map(self.details, rest), strict=True) if seen is not None
            }
        return {key: found[key] for key in wanted if key in found}

    def details(self, key: str) -> Seen | None:
        """Everything that the store knows of one object, None when it is not there."""
        self._count()
        with s3.naming("HeadObject", f"{self.url}/{key}"):
            try:
                head: Any = self.client.head_object(Bucket=self._bucket, Key=self._prefix + key, ChecksumMode="ENABLED")
            except ClientError as error:
                if s3.is_absent(error):
                    return None
                raise
        # A composite checksum is one of the parts' checksums, not of the object's bytes; not every store says which it is.
        whole = head.get("ChecksumType", "COMPOSITE" if "-" in head["ETag"] else "FULL_OBJECT") == "FULL_OBJECT"
        checksums = {kind: head[kind] for kind in _CHECKSUMS if whole and head.get(kind) and "-" not in head[kind]}
        return Seen(
            head["ContentLength"], head["ETag"].strip('"'), Details(head.get("ServerSideEncryption"), checksums)
        )

    def part_size(self, key: str) -> int | None:
        """Bytes of the first part of a multipart upload; None when the store does not tell."""
        self._count()
        with s3.naming("HeadObject", f"{self.url}/{key}"):
            try:
                head = self.client.head_object(Bucket=self._bucket, Key=self._prefix + key, PartNumber=1)
            except ClientError:
                return None
        return int(head["ContentLength"]) if head.get("PartsCount") else None

    def md5_of_content(self, key: str) -> str:
        """The MD5 of the object's bytes, all of them read."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self._chunks(key):
            digest.update(chunk)
        return digest.hexdigest()

    def download(self, key: str, to: Path) -> str:
        """Write the object's bytes to a file as they come; returns their MD5."""
        digest = hashlib.md5(usedforsecurity=False)
        with to.open("wb") as file:
            for chunk in self._chunks(key):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _chunks(self, key: str) -> Iterator[bytes]:
        self._count()
        with s3.naming("GetObject", f"{self.url}/{key}"):
            yield from self.client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].iter_chunks(_CHUNK)

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        self._count()
        with s3.naming("GetObject", f"{self.url}/{key}"):
            return self.client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()

    def upload(self, key: str, path: Path) -> None:
        """Put a local object in the place of whatever is there: read as it is sent, and in parts when it is large."""
        size, part = path.stat().st_size, _UPLOAD.multipart_chunksize
        self._count(1 if size < _UPLOAD.multipart_threshold else 2 + -(-size // part))
        # Not client.upload_file: it puts an error of its own in the place of S3's, which says what is refused.
        with s3.naming("PutObject", f"{self.url}/{key}"), create_transfer_manager(self.client, _UPLOAD) as transfers:
            transfers.upload(str(path), self._bucket, self._prefix + key).result()


def md5_of(path: Path) -> str:
    """The MD5 of a file, as 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def multipart_etag(path: Path, part_size: int) -> str:
    """The ETag that S3 gives a file uploaded in parts of `part_size` bytes: MD5 of the parts' MD5s, a dash, their number.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    digests = []
    with path.open("rb") as file:
        while part := file.read(part_size):
            digests.append(hashlib.md5(part, usedforsecurity=False).digest())
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def checksums_of(path: Path) -> dict[str, str]:
    """The checksums of a file that S3 may keep, by S3's names, in base64."""
    sha256, sha1, crc = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            sha1.update(chunk)
            crc = zlib.crc32(chunk, crc)
    digests = (sha256.digest(), sha1.digest(), crc.to_bytes(4, "big"))
    return dict(zip(_CHECKSUMS, (base64.b64encode(digest).decode() for digest in digests), strict=True))
