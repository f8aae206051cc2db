"""Raw objects by version id, verified, in the cache that all runs of a pipeline share."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from retrain.errors import OverwrittenError, StoreUnreachableError
from retrain.inputs.errors import RawObjectDamagedError, RawObjectGoneError
from retrain.run.manifest import RawObject
from retrain.store import object_content, s3
from retrain.store.remote import checksums_of, etag_of_parts, md5_of, multipart_etag
from retrain.work.files import write_whole
from retrain.work.pipeline_caches import RAW_DIGEST, RAW_DRAFT, raw_name
from retrain.work.volume import named_if_full

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_TRIES = 3
_MD5 = re.compile(r"[0-9a-f]{32}")
_OF_PARTS = re.compile(r"[0-9a-f]{32}-(?P<parts>[1-9]\d*)")


@dataclass(frozen=True)
class RawObjects:
    """The raw objects of a pipeline: a client that reads them, and the folder of the cache that all runs share."""

    client: S3Client
    cache: Path


def provide(raw: RawObjects, root: str, objects: Iterable[RawObject]) -> dict[RawObject, Path]:
    """Make sure that the cache has these objects, and return their files, which nobody may change.

    A file that is in the cache already is verified again; one with wrong content is fetched anew.

    Args:
        raw: where the objects come from and go to.
        root: the S3 URL that the objects' keys are relative to.
        objects: the objects, as a manifest names them.

    Raises:
        RawObjectGoneError: an object, or its version, does not exist any more.
        OverwrittenError: an object without a version id has other content now.
        RawObjectDamagedError: an object arrived with wrong content several times.
        DiskFullError: the disk of the cache is full.
        StoreError: S3 refused a request or did not answer.
    """
    wanted = list(objects)
    by_name = {raw_name(item): item for item in wanted}
    raw.cache.mkdir(parents=True, exist_ok=True)
    with named_if_full(raw.cache), ThreadPoolExecutor(s3.AT_ONCE) as pool:
        files = dict(zip(by_name, pool.map(lambda item: _provided(raw, root, item), by_name.values()), strict=True))
    return {item: files[raw_name(item)] for item in wanted}


def _provided(raw: RawObjects, root: str, item: RawObject) -> Path:
    path, url = raw.cache / raw_name(item), f"{root}/{item.key}"
    if path.is_file():
        if _is_whole(path, item):
            return path
        log.warning("%s in the raw cache is not %s as the manifest names it: it is fetched again", path.name, url)
    for left in reversed(range(_TRIES)):
        try:
            _fetch(raw.client, url, item, path)
        except RawObjectDamagedError as error:
            if not left:
                raise
            log.warning("%s It is fetched again.", error)
        else:
            break
    return path


def _is_whole(path: Path, item: RawObject) -> bool:
    """True if a file in the cache still is the object: by our own digest, else by an ETag that is an MD5."""
    digest = _digest_file(path)
    if path.stat().st_size != item.size:
        return False
    if digest.is_file():
        return digest.read_text(encoding="utf-8") == _sha256_of(path)
    return _MD5.fullmatch(item.etag) is not None and md5_of(path) == item.etag


def _fetch(client: S3Client, url: str, item: RawObject, path: Path) -> None:
    """Write an object to the cache in one step, once its content is verified."""
    draft = path.with_name(f"{RAW_DRAFT}{uuid4().hex}")
    try:
        answer, md5 = _read(client, url, item, draft)
        wrong = _difference(client, url, item, answer, draft, md5)
        if wrong:
            raise _damaged(url, wrong)
        if md5 != item.etag:
            write_whole(_digest_file(path), _sha256_of(draft).encode())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _read(client: S3Client, url: str, item: RawObject, to: Path | None) -> tuple[Any, str]:
    """Read an object, into a file if one is named; returns S3's answer and the content's MD5 as 32 hex digits."""
    answer = object_content.open_version(client, url, item.version_id)
    if answer is None:
        version = f"in version {item.version_id} " if item.version_id else ""
        raise RawObjectGoneError(
            f"{url} is not there {version}any more, so this run's data is lost. Land the day's data again, then clear "
            "resolve_run. The outputs of a recorded day are not affected: make restore NO_INPUTS=1."
        )
    digest = hashlib.md5(usedforsecurity=False)
    try:
        _require_named(answer, url, item)
        with Path(os.devnull if to is None else to).open("wb") as file:
            for chunk in object_content.body_chunks(answer, url):
                digest.update(chunk)
                file.write(chunk)
    except StoreUnreachableError as error:  # the connection was cut, or S3's own checksum differs
        raise _damaged(url, f"an answer that broke off or has another checksum ({error.__cause__})") from error
    finally:
        answer["Body"].close()
    return answer, digest.hexdigest()


def _require_named(answer: Any, url: str, item: RawObject) -> None:
    """Check that S3 answers with the object of the manifest, before its content is read."""
    size, etag, version = answer["ContentLength"], answer.get("ETag", "").strip('"'), answer.get("VersionId")
    if item.version_id is None and (size, etag) != (item.size, item.etag):
        raise OverwrittenError(
            f"{url} was overwritten since the run was resolved (ETag {etag}, it was {item.etag}), and its bucket keeps no versions: "
            "those bytes are lost. To run with the data as it is now, clear resolve_run. Turn on the bucket's versioning."
        )
    if (size, etag) != (item.size, item.etag):
        raise _damaged(url, f"{size} bytes with ETag {etag}, expected {item.size} bytes with ETag {item.etag}")
    if item.version_id is not None and version != item.version_id:
        raise _damaged(url, f"version {version}, expected {item.version_id}")


def _difference(client: S3Client, url: str, item: RawObject, answer: Any, draft: Path, md5: str) -> str | None:
    """How the content differs from the object of the manifest; None if it does not."""
    size = draft.stat().st_size
    if size != item.size:
        return f"{size} bytes, expected {item.size}"
    # The ETag of an object that is encrypted with a key of its own is no MD5 of its content.
    plain = not answer.get("SSECustomerAlgorithm") and not str(answer.get("ServerSideEncryption")).startswith("aws:kms")
    if plain and _MD5.fullmatch(item.etag):
        return None if md5 == item.etag else f"MD5 {md5}, expected {item.etag}"
    kept = _checksums_of_all(answer)
    if kept:
        own = checksums_of(draft)
        different = sorted(kind for kind, value in kept.items() if own[kind] != value)
        return f"another {different[0]} than S3 keeps" if different else None
    parts = _OF_PARTS.fullmatch(item.etag)
    first = object_content.part_size(client, url, item.version_id) if plain and parts else None
    if parts is None or first is None:
        # S3 says nothing about the content: two readings have to agree.
        again = _read(client, url, item, None)[1]
        return None if md5 == again else f"other content than a moment ago (MD5 {md5} and {again})"
    found = multipart_etag(draft, first)
    if found != item.etag:  # parts of different sizes: each is asked for
        found = etag_of_parts(draft, _part_sizes(client, url, item, int(parts["parts"])))
    return None if found == item.etag else f"ETag {found} by its parts, expected {item.etag}"


def _checksums_of_all(answer: Any) -> dict[str, str]:
    """The checksums of the whole object among those that `checksums_of` computes; one of its parts ends in their number."""
    whole = answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    kinds = ("ChecksumSHA256", "ChecksumSHA1", "ChecksumCRC32")
    return {kind: answer[kind] for kind in kinds if whole and answer.get(kind) and "-" not in answer[kind]}


def _part_sizes(client: S3Client, url: str, item: RawObject, count: int) -> Iterator[int]:
    for number in range(1, count + 1):
        yield object_content.part_size(client, url, item.version_id, number) or 0


def _damaged(url: str, found: str) -> RawObjectDamagedError:
    return RawObjectDamagedError(
        f"{url} arrived with {found}. Nothing was computed. Clear the task; if it fails again, S3 or a proxy before it is broken."
    )


def _digest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}{RAW_DIGEST}")


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
