"""Stage ingest: fetch exactly the raw objects that the manifest names into `data/raw`.

Each object is read by its version if the bucket keeps versions, and compared with the manifest's size and ETag. All
runs share a download cache keyed by content (RAW_CACHE_DIR), so a usual day has one new object to fetch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pipeline import stage
from pipeline.errors import DataRefusedError, InputsError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

MANIFEST = Path("manifest.json")
MANIFEST_VERSIONS = (1, 2)  # 2 has the settings of the pipeline's file besides
KEY = re.compile(r"dt=\d{4}-\d{2}-\d{2}(/(?!\.)[^/]+)+")  # a file of any name, in folders or not
MD5 = re.compile(r"[0-9a-f]{32}")
GONE = {"NoSuchKey", "NoSuchVersion", "404"}


@dataclass(frozen=True)
class RawObject:
    """One raw object as the manifest pins it: key below the root, ETag, size in bytes, and version id or None."""

    key: str
    etag: str
    size: int
    version_id: str | None


def read_manifest(path: Path, partition: str) -> tuple[str, list[RawObject]]:
    """Return the root and the objects of the manifest of `partition`.

    Raises:
        InputsError: there is no manifest, it has another schema version or partition, or an entry cannot be used.
        DataRefusedError: an object has the name of a folder, which S3 allows and a disk does not.
    """
    try:
        content = json.loads(path.read_text())
        version, found = content["schema_version"], content["partition"]
        root, entries = content["root"], content["objects"]
        objects = [RawObject(e["key"], e["etag"].strip('"'), e["size"], e["version_id"]) for e in entries]
    except FileNotFoundError as e:
        raise InputsError(f"{path} is missing; `make inputs PARTITION={partition}` writes it.") from e
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise InputsError(f"{path} is not a manifest ({e!r}); write the inputs of the run again.") from e
    if version not in MANIFEST_VERSIONS:
        known = " and ".join(map(str, MANIFEST_VERSIONS))
        raise InputsError(f"{path} has schema_version {version!r}, this release reads {known}.")
    if found != partition:
        raise InputsError(f"{path} is for {found}, but run.yaml is for {partition}; write the inputs of the run again.")
    for entry in objects:
        if not KEY.fullmatch(entry.key):
            raise InputsError(
                f"{path} names {entry.key!r}, but this release reads partitions in folders dt=YYYY-MM-DD/ only; remove "
                "raw.partition from the pipeline's file and land the data in such folders, or change ingest and prepare in a new release."
            )
    folders = {str(folder) for entry in objects for folder in PurePosixPath(entry.key).parents}
    for entry in objects:
        if entry.key in folders:
            raise DataRefusedError(
                f"{entry.key!r} is an object and the folder of other objects; remove one of the two, then make a new run."
            )
    return root, objects


def difference(entry: RawObject, content: bytes) -> str | None:
    """Say how `content` differs from the object that the manifest pins, or return None if it does not.

    An ETag is the MD5 of the content unless the object was uploaded in parts; then only the size can be compared here.
    """
    if len(content) != entry.size:
        return f"has {len(content)} bytes, the manifest says {entry.size}"
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if MD5.fullmatch(entry.etag) and digest != entry.etag:
        return f"has MD5 {digest}, the manifest says {entry.etag}"
    return None


def folder_reader(root: Path) -> Callable[[RawObject], bytes]:
    """Return a reader of objects below a local folder, for research without a server."""

    def read(entry: RawObject) -> bytes:
        try:
            return (root / entry.key).read_bytes()
        except FileNotFoundError as e:
            raise DataRefusedError(
                f"{root / entry.key} is gone since the manifest was written; write the inputs of the run again."
            ) from e
        except OSError as e:
            raise StorageError(f"{root / entry.key} could not be read ({e}); try again.") from e

    return read


def s3_reader(root: str, *, attempts: int, threads: int) -> Callable[[RawObject], bytes]:
    """Return a reader of objects below an `s3://bucket/prefix` or `s3://bucket` root, with bounded retries.

    Credentials, region and endpoint come from the environment (AWS_*), as for every AWS client.
    """
    # Imported here: research without a server does not need it.
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.session import get_session

    bucket, _, folder = root.removeprefix("s3://").partition("/")
    prefix = f"{folder}/" if folder else ""
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=threads,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    try:
        client: Any = get_session().create_client(
            "s3", config=config, region_name=os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        )
    except (BotoCoreError, ValueError) as e:
        raise StorageError(
            f"S3 could not be set up for {root} ({e}); check AWS_ENDPOINT_URL and the credentials."
        ) from e

    def read(entry: RawObject) -> bytes:
        name = f"s3://{bucket}/{prefix}{entry.key}"
        wanted = {"Bucket": bucket, "Key": f"{prefix}{entry.key}"}
        if entry.version_id:
            wanted["VersionId"] = entry.version_id
        try:
            response = client.get_object(**wanted)
            content: bytes = response["Body"].read()
        except ClientError as e:
            if e.response.get("Error", {}).get("Code") in GONE:
                raise DataRefusedError(
                    f"{name} (version {entry.version_id}) is gone since the manifest was written; "
                    "land the partition again and make a new run."
                ) from e
            raise StorageError(
                f"{name} could not be read ({e}); check S3 and the credentials, then clear the task."
            ) from e
        except (BotoCoreError, HTTPClientError, OSError) as e:
            raise StorageError(f"{name} could not be read ({e}); check that S3 is up, then clear the task.") from e
        if response["ETag"].strip('"') != entry.etag:
            raise DataRefusedError(
                f"{name} has ETag {response['ETag']}, the manifest says {entry.etag}: it was overwritten since; "
                "make a new run, which reads the current object."
            )
        return content

    return read


def fetch(entry: RawObject, cache: Path, read: Callable[[RawObject], bytes], attempts: int) -> Path:
    """Return the path of the object's content in the cache; fetch it first if it is missing.

    Raises:
        DataRefusedError: the root holds another content than the manifest pins.
        StorageError: the root cannot be read, or the cache cannot be written.
    """
    cached = cache / f"{entry.etag}-{entry.size}"
    if cached.is_file():
        if difference(entry, cached.read_bytes()) is None:
            return cached
        cached.unlink(missing_ok=True)
    found = None
    for _ in range(attempts):
        content = read(entry)
        found = difference(entry, content)
        if found is None:
            _store(cached, content)
            return cached
    raise DataRefusedError(f"{entry.key} {found}: the run was made for another content; make a new run.")


def _store(path: Path, content: bytes) -> None:
    """Write the file in one step, because another run may read or write the same object."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as stream:
            try:
                stream.write(content)
            except OSError:
                Path(stream.name).unlink(missing_ok=True)
                raise
        Path(stream.name).replace(path)
    except OSError as e:
        raise StorageError(f"{path} could not be written ({e.strerror}); free the disk, then clear the task.") from e


def ingest(root: str, objects: list[RawObject], *, cache: Path, out: Path, threads: int, attempts: int) -> None:
    """Fill `out` with exactly the objects of the manifest, under their keys."""
    read = (
        s3_reader(root, attempts=attempts, threads=threads) if root.startswith("s3://") else folder_reader(Path(root))
    )
    with ThreadPoolExecutor(threads) as pool:
        cached = list(pool.map(lambda entry: fetch(entry, cache, read, attempts), objects))
    shutil.rmtree(out, ignore_errors=True)
    for entry, source in zip(objects, cached, strict=True):
        target = out / entry.key
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, target)
        except OSError as e:
            raise StorageError(
                f"{target} could not be written ({e.strerror}); free the disk, then clear the task."
            ) from e


def main() -> None:
    """Fetch the objects of `manifest.json` into `data/raw`."""
    params = stage.read_params("ingest")
    root, objects = read_manifest(MANIFEST, stage.read_partition().isoformat())
    cache = Path(os.environ.get("RAW_CACHE_DIR") or ".cache/raw")
    ingest(root, objects, cache=cache, out=stage.RAW, threads=params["threads"], attempts=params["attempts"])


if __name__ == "__main__":
    sys.exit(stage.run(main))
