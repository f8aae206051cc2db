"""The ledger in S3: one folder a run, create-only, the run record last; and events, which say what came after."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.errors import LedgerConflictError, RecordError, RecordVersionError, StoreError
from retrain.run.manifest import Manifest
from retrain.run.partition import window
from retrain.run.run_record import RunRecord, choose, counting
from retrain.run.run_spec import RunSpec
from retrain.store import s3
from retrain.store.receipt import Receipt

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

RECORD = "run.json"
DESCRIPTION = "description.json"
ENVIRONMENT = "environment.txt"  # version 1: environment.lock
COUNTS = "counts"
_AT_ONCE = 8
_DATE = len("YYYY-MM-DD")
_NUMBER = 4


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
        manifest = Manifest.from_json(body, url)
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
        """The newest committed receipt of the partition or of one of the `days` before it; None when there is none.

        It only saves looks at objects, so one that cannot be read is passed over.
        """
        for day in reversed(window(partition, days + 1)):
            folder = f"{self.url}/{pipeline}/dt={day}"
            keys = s3.list_objects(self.client, folder)
            committed = [key.removesuffix(f"/{RECORD}") for key in keys if key.endswith(f"/{RECORD}")]
            for run_key in sorted(committed, key=lambda key: keys[f"{key}/{RECORD}"][1], reverse=True):
                url = f"{folder}/{run_key}/receipt.json"
                body = s3.get(self.client, url)
                try:
                    if body is not None:
                        return Receipt.from_json(body, url)
                except (RecordError, RecordVersionError) as error:
                    log.warning("an earlier receipt is of no use: %s", error)
        return None

    def commit(self, record: RunRecord, files: Mapping[str, str], receipt: Receipt) -> bool:
        """Write the entry's files, then its record; False when the same run had been committed already.

        The first record of a run key stands, with the documents that were written with it.

        Raises:
            LedgerConflictError: the key is committed with other outputs. Both sides are named.
        """
        folder = self.folder(record.spec)
        if self._is_committed(record):
            return False
        for name, text in files.items():
            self._create(f"{folder}/{name}", text.encode())
        s3.create(self.client, f"{folder}/receipt.json", receipt.to_json().encode())
        return s3.create(self.client, f"{folder}/{RECORD}", record.to_json().encode()) or not self._is_committed(record)

    def has(self, spec: RunSpec) -> bool:
        """Whether this very run is committed."""
        return s3.get(self.client, f"{self.folder(spec)}/{RECORD}") is not None

    def _is_committed(self, record: RunRecord) -> bool:
        url = f"{self.folder(record.spec)}/{RECORD}"
        body = s3.get(self.client, url)
        if body is None:
            return False
        kept = RunRecord.from_json(body, url)
        # Version 1 knew the outputs of the dvc.yaml at the top alone.
        paths = kept.outputs if kept.version_1 else {*kept.outputs, *record.outputs}
        other = [path for path in paths if kept.outputs.get(path) != record.outputs.get(path)]
        if other:
            path = min(other)
            raise LedgerConflictError(
                f"{self.folder(record.spec)} is committed with other outputs, {path} among {len(other)}: recorded "
                f"{kept.outputs.get(path)}, now {record.outputs.get(path)}. The same key must give the same bytes: "
                "a stage is not deterministic. The kept entry stands."
            )
        return True

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

    def newest(self, pipeline: str) -> RunRecord | None:
        """The run that counts of the newest partition that has one."""
        days = [name for name in s3.list_folders(self.client, f"{self.url}/{pipeline}") if name.startswith("dt=")]
        for day in sorted(days, reverse=True):
            found = self.records(pipeline, day.removeprefix("dt="))
            if found:
                return counting(found, self.counts(pipeline, day.removeprefix("dt=")))[-1]
        return None

    def counts(self, pipeline: str, partition: str | None = None, *, first: str = "") -> dict[str, str]:
        """The run key that counts, by partition, as the events `counts` say; see `run_record.counting` for days without one.

        Args:
            partition: only this one; else all from `first` on.
        """
        below = f"{COUNTS}/dt={partition}" if partition else COUNTS
        found: dict[str, str] = {}
        for name in sorted(self.event_names(pipeline, below, after=f"dt={first}" if first else "")):
            day, _, event = name.rpartition("/") if partition is None else (f"dt={partition}", "", name)
            found[day.removeprefix("dt=")] = event.partition("-")[2]
        return found

    def entry(self, pipeline: str, partition: str, run_key: str | None = None) -> RunRecord:
        """One run of a partition: by the beginning of its run key, else the one that counts. Raises as `run_record.choose`."""
        counts = {} if run_key else self.counts(pipeline, partition)
        return choose(self.records(pipeline, partition), counts, partition, run_key)

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

    def numbered_event(self, pipeline: str, folder: str, label: str, body: dict[str, Any]) -> str:
        """Note the next of a series of events, `<folder>/<number>-<label>`; returns its name.

        Two that are noted at the same moment have the same number, and the label says which comes last.
        """
        taken = [int(name[:_NUMBER]) for name in self.event_names(pipeline, folder)]
        name = f"{max(taken, default=0) + 1:0{_NUMBER}}-{label}"
        self.event(pipeline, folder, name, body)
        return name

    def event_body(self, pipeline: str, kind: str, name: str) -> dict[str, Any] | None:
        """What an event says; None when it has not happened.

        Raises:
            RecordError: it is no JSON object.
        """
        url = self._event_url(pipeline, kind, name)
        body = s3.get(self.client, url)
        return None if body is None else _document(body, url)

    def event_names(self, pipeline: str, kind: str, *, after: str = "") -> list[str]:
        """The names of all events of a kind, or of those that sort after a name."""
        listed = s3.list_objects(self.client, f"{self.url}/{pipeline}/{kind}", after=after)
        return [key.removesuffix(".json") for key in listed]

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
        return (newest.removesuffix(".json"), _document(body, f"{folder}/{newest}")) if body else None

    def daily_events(self, pipeline: str, kind: str, first: str = "", last: str = "9") -> dict[str, dict[str, Any]]:
        """The events of a kind that are named `<partition>-<run_key>`: of each partition from `first` to `last`, in order,
        that of the run which counts, else the one written last.

        Two requests to list a thousand, one for each partition.
        """
        folder = f"{self.url}/{pipeline}/{kind}"
        newest: dict[str, str] = {}
        listed = s3.list_objects(self.client, folder, after=first)
        for key in sorted(listed, key=lambda key: (key[:_DATE], listed[key][1], key)):
            if key[:_DATE] <= last:
                newest[key[:_DATE]] = key
        for day, run_key in self.counts(pipeline, first=first).items():
            if day in newest and f"{day}-{run_key}.json" in listed:
                newest[day] = f"{day}-{run_key}.json"
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            bodies = pool.map(lambda key: s3.get(self.client, f"{folder}/{key}"), newest.values())
            return {
                day: _document(body, f"{folder}/{newest[day]}")
                for day, body in zip(newest, bodies, strict=True)
                if body is not None
            }

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


def _document(body: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise RecordError(f"{url} is not JSON ({error}). Somebody else wrote it; see who may.") from error
    if not isinstance(document, dict):
        raise RecordError(f"{url} holds {type(document).__name__}, not an object. Somebody else wrote it; see who may.")
    return document


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
