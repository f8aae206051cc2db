"""The ledger in S3: one folder per run, whose documents are created once and never changed, the run record last."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from retrain.errors import LedgerConflictError, RecordError, RecordVersionError, StoreError
from retrain.run.manifest import Manifest
from retrain.run.partition import window
from retrain.run.run_record import RunRecord, choose, counting
from retrain.run.run_spec import RunSpec
from retrain.store import s3
from retrain.store.event_log import EventLog
from retrain.store.first_attempt import FirstAttempt
from retrain.store.kept_record import other_bytes, require_same_outputs
from retrain.store.receipt import Receipt

log = logging.getLogger(__name__)

RECORD = "run.json"
ATTEMPT = "attempt.json"  # written first: the attempt that the other documents are of
DESCRIPTION = "description.json"
FETCHED = "fetched"  # the folder with what the stages that fetch their own data have fetched
ENVIRONMENT = "environment.txt"  # version 1: environment.lock


@dataclass(frozen=True)
class Ledger(EventLog):
    """The entries `<url>/<pipeline>/dt=<partition>/<run_key>/`, and the events. A run is committed once its run record exists.

    Raises:
        StoreError: every method, if S3 refuses a request or does not answer.
    """

    def folder(self, spec: RunSpec) -> str:
        """The URL of a run's entry."""
        return f"{self.url}/{spec.pipeline}/dt={spec.partition}/{spec.run_key}"

    def put_manifest(self, spec: RunSpec, manifest: Manifest) -> None:
        """Write the manifest of a run for its later tasks. The run key determines its bytes.

        Raises:
            LedgerConflictError: the ledger holds other bytes.
        """
        self._create(f"{self.folder(spec)}/manifest.json", manifest.to_json().encode())

    def manifest(self, spec: RunSpec) -> Manifest:
        """The manifest that `resolve_run` wrote.

        Raises:
            StoreError: it does not exist any more.
            LedgerConflictError: its digest is not that of the spec.
            RecordError: it is not a manifest.
        """
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
        """Write the receipt of a push, under a name made from its content; returns the name.

        Raises:
            LedgerConflictError: the ledger holds other bytes under that name.
        """
        self._create(f"{self.folder(spec)}/{receipt.own_name}", receipt.to_json().encode())
        return receipt.own_name

    def receipt(self, spec: RunSpec, name: str) -> Receipt:
        """A receipt that `push` wrote.

        Raises:
            StoreError: it does not exist any more.
            RecordError: it is not a receipt.
        """
        url = f"{self.folder(spec)}/{name}"
        body = s3.get(self.client, url)
        if body is None:
            raise StoreError(f"{url} is gone. Clear push.")
        return Receipt.from_json(body, url)

    def keep_fetched(self, spec: RunSpec, name: str, body: bytes) -> bytes:
        """Write what a stage of a run fetched, unless an earlier attempt has; returns the document that the ledger has then.

        Raises:
            StoreError: it is gone again.
        """
        url = f"{self.folder(spec)}/{FETCHED}/{name}"
        if s3.create(self.client, url, body):
            return body
        return self._present(url)

    def fetched(self, spec: RunSpec) -> dict[str, bytes]:
        """What the stages of a run have fetched until now, by the URL of each document.

        Raises:
            StoreError: a document is gone again.
        """
        folder = f"{self.folder(spec)}/{FETCHED}"
        urls = [f"{folder}/{key}" for key in sorted(s3.list_objects(self.client, folder))]
        with ThreadPoolExecutor(s3.AT_ONCE) as pool:
            return dict(zip(urls, pool.map(self._present, urls), strict=True))

    def earlier_receipt(self, pipeline: str, partition: str, days: int = 14) -> Receipt | None:
        """The newest committed receipt of the partition or of the `days` days before it; None if there is none.

        It only saves requests for objects that it proves, so a receipt that cannot be read is skipped.
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
                    log.warning("an earlier receipt cannot be read: %s", error)
        return None

    def commit(self, record: RunRecord, files: Mapping[str, str], receipt: Receipt) -> bool:
        """Write the documents of an entry, its record last; returns False if the entry is that of an earlier attempt.

        The first attempt of a run key decides, in the moment in which `attempt.json` is created. If it was killed before its
        record, the next one writes what the entry still lacks, from that document.

        Args:
            record: the run.
            files: the documents by name.
            receipt: the proof of its push, as `put_receipt` has written it.

        Raises:
            OtherOutputsError: the entry has other outputs, made in the same environment.
            LedgerConflictError: it has other outputs, made in another environment or recorded in version 1; or a document exists
                with other bytes than its attempt has.
            RecordError: a document of the earlier attempt cannot be read.
        """
        kept = self.committed(record.spec)
        if kept is None:
            url, ours = f"{self.folder(record.spec)}/{ATTEMPT}", FirstAttempt(record, files, receipt.own_name)
            if is_ours := s3.create(self.client, url, ours.to_json().encode()):
                first, proof = ours, receipt
            else:
                first = FirstAttempt.from_json(self._present(url), url)
                proof = self.receipt(record.spec, first.receipt)
            stands = self._write(first, proof)
            if is_ours and stands:
                return True
            kept = first.record if stands else self.recorded(record.spec)
        require_same_outputs(kept, record, self.folder(record.spec))
        return False

    def _write(self, attempt: FirstAttempt, receipt: Receipt) -> bool:
        """Write those documents of an attempt that its entry lacks; False if an older deployment has recorded the run meanwhile."""
        folder = self.folder(attempt.record.spec)
        for name, text in attempt.files.items():
            self._create(f"{folder}/{name}", text.encode())
        s3.create(self.client, f"{folder}/receipt.json", receipt.to_json().encode())
        url, body = f"{folder}/{RECORD}", attempt.record.to_json().encode()
        return s3.create(self.client, url, body) or s3.get(self.client, url) == body

    def committed(self, spec: RunSpec) -> RunRecord | None:
        """The record of a run; None if it is not committed.

        Raises:
            RecordError: it cannot be read.
            RecordVersionError: a newer deployment wrote it.
        """
        url = f"{self.folder(spec)}/{RECORD}"
        body = s3.get(self.client, url)
        return None if body is None else RunRecord.from_json(body, url)

    def recorded(self, spec: RunSpec) -> RunRecord:
        """The record of a run that is committed.

        Raises:
            StoreError: it does not exist any more.
        """
        return self._record(f"{self.folder(spec)}/{RECORD}")

    def has(self, spec: RunSpec) -> bool:
        """True if the run is committed."""
        return s3.get(self.client, f"{self.folder(spec)}/{RECORD}") is not None

    def records(self, pipeline: str, partition: str | None = None) -> list[RunRecord]:
        """Every committed run of a pipeline, or of one partition of it.

        Raises:
            RecordError: a record cannot be read.
            RecordVersionError: a newer deployment wrote one.
        """
        folder = f"{self.url}/{pipeline}" + (f"/dt={partition}" if partition else "")
        keys = [key for key in s3.list_objects(self.client, folder) if key.endswith(f"/{RECORD}")]
        with ThreadPoolExecutor(s3.AT_ONCE) as pool:
            return list(pool.map(lambda key: self._record(f"{folder}/{key}"), keys))

    def is_recorded(self, pipeline: str, partition: str) -> bool:
        """True if a run of the partition is committed."""
        return any(
            key.endswith(f"/{RECORD}") for key in s3.list_objects(self.client, f"{self.url}/{pipeline}/dt={partition}")
        )

    def recorded_days(self, pipeline: str, first: str, last: str = "9") -> frozenset[str]:
        """The partitions from `first` to `last` of which a run is committed. Costs one request per thousand objects since `first`."""
        return frozenset(day for day in map(_day_of, self._record_keys(pipeline, first)) if day <= last)

    def newest(self, pipeline: str) -> RunRecord | None:
        """The run that counts of the newest recorded partition; None if nothing is recorded."""
        days = [name for name in s3.list_folders(self.client, f"{self.url}/{pipeline}") if name.startswith("dt=")]
        for day in sorted(days, reverse=True):
            found = self.records(pipeline, day.removeprefix("dt="))
            if found:
                return counting(found, self.counts(pipeline, day.removeprefix("dt=")))[-1]
        return None

    def newest_since(self, pipeline: str, first: str) -> RunRecord | None:
        """As `newest`, among the partitions from `first` on. The number of requests does not grow with older partitions."""
        keys = self._record_keys(pipeline, first)
        if not keys:
            return None
        day = max(map(_day_of, keys))
        found = [self._record(f"{self.url}/{pipeline}/{key}") for key in keys if _day_of(key) == day]
        return counting(found, self.counts(pipeline, day))[-1]

    def _record_keys(self, pipeline: str, first: str) -> list[str]:
        keys = s3.list_objects(self.client, f"{self.url}/{pipeline}", after=f"dt={first}", prefix="dt=")
        return [key for key in keys if key.endswith(f"/{RECORD}")]

    def entry(self, pipeline: str, partition: str, run_key: str | None = None) -> RunRecord:
        """One run of a partition: the one whose run key begins with `run_key`, by default the one that counts.

        Raises:
            UnknownEntryError: there is none.
            SeveralEntriesError: several run keys begin like this.
        """
        counts = {} if run_key else self.counts(pipeline, partition)
        return choose(self.records(pipeline, partition), counts, partition, run_key)

    def pipelines(self) -> list[str]:
        """The pipelines that have anything in this ledger."""
        return s3.list_folders(self.client, self.url)

    def file(self, record: RunRecord, name: str) -> bytes:
        """One document of a committed entry.

        Raises:
            StoreError: it does not exist any more.
        """
        url = f"{self.folder(record.spec)}/{name}"
        body = s3.get(self.client, url)
        if body is None:
            raise StoreError(
                f"{url} is gone, though its run is recorded. If the bucket keeps versions, restore it there."
            )
        return body

    def committed_receipt(self, record: RunRecord) -> Receipt:
        """The receipt of a committed entry.

        Raises:
            StoreError: it does not exist any more.
            RecordError: it is not a receipt.
        """
        return Receipt.from_json(self.file(record, "receipt.json"), f"{self.folder(record.spec)}/receipt.json")

    def _record(self, url: str) -> RunRecord:
        return RunRecord.from_json(self._present(url), url)

    def _present(self, url: str) -> bytes:
        body = s3.get(self.client, url)
        if body is None:
            raise StoreError(f"{url} was there a moment ago and is gone. Try again.")
        return body

    def _create(self, url: str, body: bytes) -> None:
        if s3.create(self.client, url, body):
            return
        kept = s3.get(self.client, url)
        if kept != body:
            raise other_bytes(url, kept or b"", body)


def _day_of(key: str) -> str:
    return key.partition("/")[0].removeprefix("dt=")
