"""The ledger on a real S3 server: one entry a run key, create-only, its record last."""

from __future__ import annotations

import hashlib
import json

import pytest

from retrain import s3 as store
from retrain.errors import LedgerConflictError, StoreError
from retrain.ledger import RECORD, Ledger
from retrain.manifest import Manifest, RawObject
from retrain.receipt import Proof, Receipt
from retrain.run_spec import RunSpec

OBJECTS = (
    RawObject("dt=2020-03-05/part-0.parquet", "e" * 32, 26123, "v1"),
    RawObject("dt=2020-03-04/a", "f" * 32, 1, None),
)
MANIFEST = Manifest("taxi", "2020-03-05", "s3://raw/yellow", OBJECTS)
SPEC = RunSpec("taxi", "2020-03-05", "v1.0.0", "c" * 40, MANIFEST.digest)
FILES = {"dvc.lock": "schema: '2.0'\n", "run.yaml": "partition: '2020-03-05'\n"}
RECEIPT = Receipt("s3://store/dvc", (Proof("files/md5/ab/cdef", 7, "etag"),))


@pytest.fixture
def ledger(s3, bucket):
    return Ledger(s3, f"s3://{bucket()}/ledger")


def kept(ledger):
    """Key below the run's folder -> bytes."""
    folder = ledger.folder(SPEC)
    return {name: store.get(ledger.client, f"{folder}/{name}") for name in store.list_sizes(ledger.client, folder)}


def test_a_run_is_committed_with_its_files_and_its_record(ledger):
    assert ledger.commit(SPEC, FILES, {"metrics": {"mae": 4.1}}) is True
    entry = kept(ledger)
    assert {name: body.decode() for name, body in entry.items() if name != RECORD} == FILES
    record = json.loads(entry[RECORD])
    assert (record["run_key"], record["commit"], record["metrics"]) == (SPEC.run_key, SPEC.commit, {"mae": 4.1})


def test_committing_again_is_one_entry_and_says_that_it_was_committed_already(ledger):
    ledger.commit(SPEC, FILES, {"metrics": {"mae": 4.1}})
    before = kept(ledger)
    assert ledger.commit(SPEC, FILES, {"metrics": {"mae": 4.1}}) is False
    assert kept(ledger) == before


def test_an_attempt_that_died_before_its_record_is_finished_by_the_next(ledger):
    store.create(ledger.client, f"{ledger.folder(SPEC)}/dvc.lock", FILES["dvc.lock"].encode())
    assert ledger.commit(SPEC, FILES, {}) is True
    assert set(kept(ledger)) == {*FILES, RECORD}


def test_another_dvc_lock_under_the_same_key_is_a_conflict_that_names_it_and_both_hashes(ledger):
    ledger.commit(SPEC, FILES, {})
    other = {**FILES, "dvc.lock": "schema: '2.0'\nstages: {}\n"}
    with pytest.raises(LedgerConflictError) as caught:
        ledger.commit(SPEC, other, {})
    for part in (f"{ledger.folder(SPEC)}/dvc.lock", *(sha256(text) for text in (FILES["dvc.lock"], other["dvc.lock"]))):
        assert part in str(caught.value)
    assert kept(ledger)["dvc.lock"] == FILES["dvc.lock"].encode()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_manifest_comes_back_as_it_was_kept(ledger):
    ledger.put_manifest(SPEC, MANIFEST)
    back = ledger.manifest(SPEC)
    assert back.to_json() == MANIFEST.to_json()
    assert back.digest == SPEC.manifest_digest


def test_a_manifest_with_another_digest_than_the_run_was_resolved_with_is_refused(ledger):
    changed = MANIFEST.to_json().replace("26123", "26124")
    store.create(ledger.client, f"{ledger.folder(SPEC)}/manifest.json", changed.encode())
    with pytest.raises(LedgerConflictError, match=SPEC.manifest_digest):
        ledger.manifest(SPEC)


def test_a_lost_manifest_says_which_task_to_clear(ledger):
    with pytest.raises(StoreError, match=rf"{ledger.folder(SPEC)}/manifest\.json is gone\. Clear resolve_run"):
        ledger.manifest(SPEC)


def test_the_receipt_comes_back_as_it_was_kept(ledger):
    ledger.put_receipt(SPEC, RECEIPT)
    assert ledger.receipt(SPEC) == RECEIPT


def test_a_push_that_is_cleared_leaves_the_receipt_as_it_was(ledger):
    for _ in range(2):
        ledger.put_receipt(SPEC, RECEIPT)
    assert ledger.receipt(SPEC) == RECEIPT


def test_a_lost_receipt_says_which_task_to_clear(ledger):
    with pytest.raises(StoreError, match=rf"{ledger.folder(SPEC)}/receipt\.json is gone\. Clear push"):
        ledger.receipt(SPEC)


def test_an_event_is_noted_once(ledger):
    assert not ledger.has_event("taxi", "alerts", "drift")
    assert ledger.event("taxi", "alerts", "drift", {"ts": "1"}) is True
    assert ledger.event("taxi", "alerts", "drift", {"ts": "2"}) is False
    assert ledger.has_event("taxi", "alerts", "drift")
