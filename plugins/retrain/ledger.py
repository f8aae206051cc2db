"""The ledger in S3: one folder a run, create-only, the run record last."""

from __future__ import annotations

import hashlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import s3
from retrain.dvc import Lock
from retrain.errors import LedgerConflictError, StoreError
from retrain.manifest import Manifest, RawObject
from retrain.partition import window
from retrain.receipt import Receipt
from retrain.run_record import RunRecord
from retrain.run_spec import RunSpec

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RECORD = "run.json"
_AT_ONCE = 8
_DATE = len("YYYY-MM-DD")


@dataclass(frozen=True)
class Ledger:
    """`<url>/<pipeline>/dt=<partition>/<run_key>/`; a run is committed when its run record is there."""

    client: S3Client
    url: str

    def folder(self, spec: RunSpec) -> str:
        return f"{self.url}/{spec.pipeline}/dt={spec.partition}/{spec.run_key}"

    def put_manifest(self, spec: RunSpec, manifest: Manifest) -> None:
        """Keep the manifest under its run key, for every later task of the run. The key fixes its bytes."""
        self._create(f"{self.folder(spec)}/manifest.json", manifest.to_json().encode())

    def manifest(self, spec: RunSpec) -> Manifest:
        """The manifest that `resolve_run` kept; checked against the spec's digest."""
        url = f"{self.folder(spec)}/manifest.json"
        body = s3.get(self.client, url)
        if body is None:
            raise StoreError(f"{url} is gone. Clear resolve_run to list the raw objects again.")
        document = json.loads(body)
        manifest = Manifest(
            document["pipeline"],
            document["partition"],
            document["root"],
            tuple(RawObject(**entry) for entry in document["objects"]),
        )
        if manifest.digest != spec.manifest_digest:
            raise LedgerConflictError(
                f"{url} has digest {manifest.digest}, the run was resolved with {spec.manifest_digest}."
            )
        return manifest

    def put_receipt(self, spec: RunSpec, receipt: Receipt) -> str:
        """Keep a push's receipt under its run key, named by its content; returns the name. `commit` makes one the run's own."""
        text = receipt.to_json().encode()
        name = f"receipts/{_sha256(text)[:16]}.json"
        self._create(f"{self.folder(spec)}/{name}", text)
        return name

    def receipt(self, spec: RunSpec, name: str) -> Receipt:
        """A receipt that `push` kept."""
        url = f"{self.folder(spec)}/{name}"
        body = s3.get(self.client, url)
        if body is None:
            raise StoreError(f"{url} is gone. Clear push.")
        return Receipt.from_json(body, url)

    def earlier_receipt(self, pipeline: str, partition: str, days: int = 14) -> Receipt | None:
        """The newest committed receipt of the partition or of one of the `days` before it; None when there is none."""
        for day in reversed(window(partition, days + 1)):
            folder = f"{self.url}/{pipeline}/dt={day}"
            keys = s3.list_objects(self.client, folder)
            committed = [key.removesuffix(f"/{RECORD}") for key in keys if key.endswith(f"/{RECORD}")]
            for run_key in sorted(committed, key=lambda key: keys[f"{key}/{RECORD}"][1], reverse=True):
                body = s3.get(self.client, f"{folder}/{run_key}/receipt.json")
                if body is not None:
                    return Receipt.from_json(body, f"{folder}/{run_key}/receipt.json")
        return None

    def commit(self, record: RunRecord, files: dict[str, str], receipt: Receipt) -> bool:
        """Write the entry's files, then its record; False when the same run had been committed already.

        The first receipt of an entry stands: a later one may prove the same objects in another way.

        Raises:
            LedgerConflictError: the key is committed with other outputs. Both sides are named.
        """
        folder = self.folder(record.spec)
        for name, text in files.items():
            self._create(f"{folder}/{name}", text.encode())
        s3.create(self.client, f"{folder}/receipt.json", receipt.to_json().encode())
        if s3.create(self.client, f"{folder}/{RECORD}", record.to_json().encode()):
            return True
        kept = self._record(f"{folder}/{RECORD}")
        other = [
            path for path in {*kept.outputs, *record.outputs} if kept.outputs.get(path) != record.outputs.get(path)
        ]
        if other:
            path = min(other)
            raise LedgerConflictError(
                f"{folder} is committed with other outputs, {path} among {len(other)}: recorded {kept.outputs.get(path)}, "
                f"now {record.outputs.get(path)}. The same key must give the same bytes: a stage is not deterministic. The kept entry stands."
            )
        return False

    def records(self, pipeline: str, partition: str | None = None) -> list[RunRecord]:
        """Every committed run of a pipeline, or of one partition of it."""
        folder = f"{self.url}/{pipeline}" + (f"/dt={partition}" if partition else "")
        keys = [key for key in s3.list_objects(self.client, folder) if key.endswith(f"/{RECORD}")]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda key: self._record(f"{folder}/{key}"), keys))

    def is_recorded(self, pipeline: str, partition: str) -> bool:
        """Whether a run of the partition is committed."""
        return any(
            key.endswith(f"/{RECORD}") for key in s3.list_objects(self.client, f"{self.url}/{pipeline}/dt={partition}")
        )

    def newest_records(self, pipeline: str) -> list[RunRecord]:
        """The committed runs of the newest partition that has any."""
        days = [name for name in s3.list_folders(self.client, f"{self.url}/{pipeline}") if name.startswith("dt=")]
        for day in sorted(days, reverse=True):
            found = self.records(pipeline, day.removeprefix("dt="))
            if found:
                return found
        return []

    def pipelines(self) -> list[str]:
        """Every pipeline that has something in this ledger."""
        return s3.list_folders(self.client, self.url)

    def file(self, record: RunRecord, name: str) -> bytes:
        """One document of a committed entry."""
        url = f"{self.folder(record.spec)}/{name}"
        body = s3.get(self.client, url)
        if body is None:
            raise StoreError(
                f"{url} is gone, though its run is recorded. If the bucket keeps versions, bring it back there."
            )
        return body

    def lock(self, record: RunRecord) -> Lock:
        """The dvc.lock of a committed entry."""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("dvc.yaml", "dvc.lock"):
                (Path(folder) / name).write_bytes(self.file(record, name))
            return Lock.read(Path(folder))

    def committed_receipt(self, record: RunRecord) -> Receipt:
        """The receipt of a committed entry."""
        return Receipt.from_json(self.file(record, "receipt.json"), f"{self.folder(record.spec)}/receipt.json")

    def _record(self, url: str) -> RunRecord:
        body = s3.get(self.client, url)
        if body is None:
            raise StoreError(f"{url} was listed and is gone. Try again.")
        return RunRecord.from_json(body, url)

    def event(self, pipeline: str, kind: str, name: str, body: dict[str, Any]) -> bool:
        """Note that something happened once, such as a promotion or a message; False when it is noted already."""
        return s3.create(
            self.client,
            self._event_url(pipeline, kind, name),
            (json.dumps(body, sort_keys=True, indent=1) + "\n").encode(),
        )

    def event_names(self, pipeline: str, kind: str) -> list[str]:
        """The names of all events of a kind."""
        return [key.removesuffix(".json") for key in s3.list_objects(self.client, f"{self.url}/{pipeline}/{kind}")]

    def newest_daily_event(self, pipeline: str, kind: str) -> tuple[str, dict[str, Any]] | None:
        """Of the events of a kind that are named `<partition>-<run_key>`, the newest partition's, with its name.

        By partition before time of writing, which is lost when a bucket is copied. None when there is none.
        """
        folder = f"{self.url}/{pipeline}/{kind}"
        keys = s3.list_objects(self.client, folder)
        if not keys:
            return None
        newest = max(keys, key=lambda key: (key[:_DATE], keys[key][1], key))
        body = s3.get(self.client, f"{folder}/{newest}")
        return (newest.removesuffix(".json"), json.loads(body)) if body else None

    def daily_events(self, pipeline: str, kind: str, first: str = "", last: str = "9") -> dict[str, dict[str, Any]]:
        """The events of a kind that are named `<partition>-<run_key>`: of each partition from `first` to `last`, in order,
        the one written last.

        One request to list a thousand, one for each partition.
        """
        folder = f"{self.url}/{pipeline}/{kind}"
        newest: dict[str, str] = {}
        listed = s3.list_objects(self.client, folder, after=first)
        for key in sorted(listed, key=lambda key: (key[:_DATE], listed[key][1], key)):
            if key[:_DATE] <= last:
                newest[key[:_DATE]] = key
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            bodies = pool.map(lambda key: s3.get(self.client, f"{folder}/{key}"), newest.values())
            return {day: json.loads(body) for day, body in zip(newest, bodies, strict=True) if body is not None}

    def _event_url(self, pipeline: str, kind: str, name: str) -> str:
        return f"{self.url}/{pipeline}/{kind}/{name}.json"

    def _create(self, url: str, body: bytes) -> None:
        if s3.create(self.client, url, body):
            return
        kept = s3.get(self.client, url)
        if kept != body:
            raise LedgerConflictError(
                f"{url} holds other bytes (SHA-256 {_sha256(kept or b'')}) than this run would write ({_sha256(body)}). "
                "The same key must give the same bytes: a stage is not deterministic. The kept entry stands."
            )


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
