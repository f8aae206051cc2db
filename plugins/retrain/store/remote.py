"""The DVC remote, object by object: listing, inspecting, reading, re-uploading. DVC trusts object names and never checks contents."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from retrain.store import mutable_objects, object_content, s3
from retrain.store.receipt import Details, Seen

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 1 << 20  # bytes
# By S3's prices, a page of a listing costs about as much as this many requests for single objects; each takes one round trip.
_LOOKS_A_PAGE = 12
_CHECKSUMS = ("ChecksumSHA256", "ChecksumSHA1", "ChecksumCRC32")


@dataclass
class Remote:
    """The DVC remote at `url`, such as `s3://bucket/dvc`. Keys are relative to it.

    `requests` counts the requests that were sent. `page_size` is the number of keys in a page of a listing. A file is uploaded in
    parts of `upload_part` bytes; a smaller one in a single PUT, because the ETag of that proves the content.

    Raises:
        StoreError: every method, if S3 refuses a request or does not answer.
    """

    client: S3Client
    url: str
    requests: int = 0
    page_size: int = 1000
    upload_part: int = 64 << 20  # S3 accepts no single PUT above 5 GiB
    _counting: Lock = field(init=False, repr=False, default_factory=Lock)

    def _count(self, requests: int = 1) -> None:
        with self._counting:
            self.requests += requests

    def look_at_each(self, keys: Iterable[str]) -> dict[str, Seen]:
        """Which of these objects exist, with all that S3 knows of them. One request per object, however much the remote holds."""
        wanted = sorted(set(keys))
        with ThreadPoolExecutor(s3.AT_ONCE) as pool:
            found = zip(wanted, pool.map(self.details, wanted), strict=True)
            return {key: seen for key, seen in found if seen is not None}

    def look(self, keys: Iterable[str]) -> dict[str, Seen]:
        """Which of these objects exist, with size and ETag.

        Lists the remote page by page as long as that is cheaper than a request per object; the rest is asked for one by one. The
        number of requests depends on what else the remote holds: a day's run uses `look_at_each`.
        """
        wanted = sorted(keys)
        if not wanted:
            return {}
        found: dict[str, Seen] = {}
        after = wanted[0][:-1]  # sorts before the first of them
        for _ in range(max(1, len(wanted) // _LOOKS_A_PAGE)):
            page, more = s3.page(self.client, self.url, after, self.page_size)
            self._count()
            found |= {key: Seen(size, etag) for key, (size, etag) in page.items()}
            after = max(page, default=after)
            if not more or after >= wanted[-1]:
                return {key: found[key] for key in wanted if key in found}
        rest = [key for key in wanted if key > after]
        found |= self.look_at_each(rest)
        return {key: found[key] for key in wanted if key in found}

    def details(self, key: str) -> Seen | None:
        """One object with all that S3 knows of it; None if it does not exist."""
        self._count()
        head = s3.head(self.client, f"{self.url}/{key}")
        if head is None:
            return None
        # A composite checksum covers the checksums of the parts, not the object's bytes; not every server says which kind it is.
        whole = head.get("ChecksumType", "COMPOSITE" if "-" in head["ETag"] else "FULL_OBJECT") == "FULL_OBJECT"
        checksums = {kind: head[kind] for kind in _CHECKSUMS if whole and head.get(kind) and "-" not in head[kind]}
        return Seen(
            head["ContentLength"], head["ETag"].strip('"'), Details(head.get("ServerSideEncryption"), checksums)
        )

    def part_size(self, key: str) -> int | None:
        """The bytes of the first part of a multipart upload; None if the server does not know."""
        self._count()
        return object_content.part_size(self.client, f"{self.url}/{key}")

    def md5_of_content(self, key: str) -> str:
        """The MD5 of the object's bytes, as 32 hex digits. Reads the whole object."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self._chunks(key):
            digest.update(chunk)
        return digest.hexdigest()

    def download(self, key: str, to: Path) -> str:
        """Write the object's bytes to a file; returns their MD5 as 32 hex digits."""
        digest = hashlib.md5(usedforsecurity=False)
        with to.open("wb") as file:
            for chunk in self._chunks(key):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _chunks(self, key: str) -> Iterator[bytes]:
        self._count()
        return object_content.chunks(self.client, f"{self.url}/{key}")

    def find(self, key: str) -> bytes | None:
        """The object's bytes; None if it does not exist."""
        self._count()
        return s3.get(self.client, f"{self.url}/{key}")

    def read(self, key: str) -> bytes:
        """The object's bytes.

        Raises:
            StoreError: it does not exist, or S3 refuses.
        """
        return b"".join(self._chunks(key))

    def upload(self, key: str, path: Path) -> None:
        """Write a local file to the remote in place of any object there."""
        self._count(mutable_objects.upload(self.client, f"{self.url}/{key}", path, self.upload_part))


def md5_of(path: Path) -> str:
    """The MD5 of a file, as 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def multipart_etag(path: Path, part_size: int) -> str:
    """The ETag of a file that was uploaded in parts of `part_size` bytes."""
    return etag_of_parts(path, repeat(part_size))


def etag_of_parts(path: Path, part_sizes: Iterable[int]) -> str:
    """The ETag of a file that was uploaded in parts: the MD5 of the parts' MD5s, a dash, the number of parts. Ends with the file.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    digests = []
    with path.open("rb") as file:
        for size in part_sizes:
            left, digest = size, hashlib.md5(usedforsecurity=False)
            while left and (chunk := file.read(min(left, _CHUNK))):
                digest.update(chunk)
                left -= len(chunk)
            if left == size:
                break
            digests.append(digest.digest())
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def checksums_of(path: Path) -> dict[str, str]:
    """SHA-256, SHA-1 and CRC-32 of a file, in base64, by the names that S3 gives them."""
    sha256, sha1, crc = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            sha1.update(chunk)
            crc = zlib.crc32(chunk, crc)
    digests = (sha256.digest(), sha1.digest(), crc.to_bytes(4, "big"))
    return dict(zip(_CHECKSUMS, (base64.b64encode(digest).decode() for digest in digests), strict=True))
