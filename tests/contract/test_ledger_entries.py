"""The ledger on a real S3 server: one entry a run key, create-only, its record last."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from retrain.errors import LedgerConflictError, RecordError, RecordVersionError, StoreError
from retrain.run.manifest import Manifest, RawObject
from retrain.run.run_record import RunRecord
from retrain.run.run_spec import RunSpec
from retrain.store import s3 as store
from retrain.store.errors import OtherOutputsError
from retrain.store.ledger import ATTEMPT, RECORD, Ledger
from retrain.store.receipt import Proof, Receipt

OBJECTS = (
    RawObject("dt=2020-03-05/part-0.parquet", "e" * 32, 26123, "v1"),
    RawObject("dt=2020-03-04/a", "f" * 32, 1, None),
)
MANIFEST = Manifest("taxi", "2020-03-05", "s3://raw/yellow", OBJECTS)
SPEC = RunSpec("taxi", "2020-03-05", "v1.0.0", "c" * 40, MANIFEST.digest)
RECORDED = RunRecord(
    **SPEC.to_dict(),
    recorded_at="2020-03-06T06:00:00+00:00",
    dag_run="scheduled__2020-03-05",
    mode="daily",
    environment="d" * 64,
    threads=1,
    raw_versioned=True,
    outputs={"model.json": "a" * 32, "data": "b" * 32 + ".dir"},
    metrics={"mae": 4.1},
    objects=1,
    size=7,
)
FILES = {"dvc.lock": "schema: '2.0'\n", "run.yaml": "partition: '2020-03-05'\n"}
ENTRY = {*FILES, "receipt.json", ATTEMPT, RECORD}
RECEIPT = Receipt("s3://store/dvc", (Proof("files/md5/ab/cdef", 7, "abcdef", "etag"),))


@pytest.fixture
def s3(either_s3):
    """The fixtures of this file speak to both servers."""
    return either_s3


@pytest.fixture
def ledger(s3, bucket):
    return Ledger(s3, f"s3://{bucket()}/ledger")


def kept(ledger):
    """Key below the run's folder -> bytes."""
    folder = ledger.folder(SPEC)
    return {name: store.get(ledger.client, f"{folder}/{name}") for name in store.list_objects(ledger.client, folder)}


def test_a_run_is_committed_with_its_files_and_its_record(ledger):
    assert ledger.commit(RECORDED, FILES, RECEIPT) is True
    entry = kept(ledger)
    assert {
        name: body.decode() for name, body in entry.items() if name not in ("receipt.json", ATTEMPT, RECORD)
    } == FILES
    assert Receipt.from_json(entry["receipt.json"], "it") == RECEIPT
    assert RunRecord.from_json(entry[RECORD], "it") == RECORDED


def test_committing_again_is_one_entry_and_says_that_it_was_committed_already(ledger):
    ledger.commit(RECORDED, FILES, RECEIPT)
    before = kept(ledger)
    assert ledger.commit(RECORDED, FILES, RECEIPT) is False
    assert kept(ledger) == before


def test_an_attempt_that_died_before_its_record_is_finished_by_the_next(ledger):
    store.create(ledger.client, f"{ledger.folder(SPEC)}/dvc.lock", FILES["dvc.lock"].encode())
    assert ledger.commit(RECORDED, FILES, RECEIPT) is True
    assert set(kept(ledger)) == ENTRY


@pytest.mark.parametrize("written", [(), ("dvc.lock",), ("dvc.lock", "run.yaml", "receipt.json")])
def test_an_attempt_that_died_in_the_middle_of_its_entry_is_the_one_that_it_gets(ledger, written):
    """Another attempt has other outputs and documents: an entry never has documents of both."""
    ledger.put_receipt(SPEC, RECEIPT)
    assert ledger.commit(RECORDED, FILES, RECEIPT) is True
    whole = kept(ledger)
    bucket, prefix = store.split(ledger.folder(SPEC))
    for name in {*FILES, "receipt.json", RECORD} - {*written}:
        ledger.client.delete_object(Bucket=bucket, Key=f"{prefix}/{name}")
    later = replace(RECORDED, dag_run="later", outputs={**RECORDED.outputs, "model.json": "c" * 32})
    receipt = replace(RECEIPT, remote="s3://store/later")
    with pytest.raises(OtherOutputsError) as caught:
        ledger.commit(later, {**FILES, "dvc.lock": "schema: '2.0'\nstages: {}\n"}, receipt)
    assert caught.value.kept == RECORDED
    assert kept(ledger) == whole


def test_another_dvc_lock_than_an_attempt_left_that_died_is_a_conflict_that_names_it_and_both_hashes(ledger):
    store.create(ledger.client, f"{ledger.folder(SPEC)}/dvc.lock", FILES["dvc.lock"].encode())
    other = {**FILES, "dvc.lock": "schema: '2.0'\nstages: {}\n"}
    with pytest.raises(LedgerConflictError) as caught:
        ledger.commit(RECORDED, other, RECEIPT)
    for part in (f"{ledger.folder(SPEC)}/dvc.lock", *(sha256(text) for text in (FILES["dvc.lock"], other["dvc.lock"]))):
        assert part in str(caught.value)
    assert kept(ledger)["dvc.lock"] == FILES["dvc.lock"].encode()


def test_a_document_that_an_earlier_deployment_left_without_a_record_is_moved_away_and_the_run_is_recorded(ledger):
    """It had no document of the whole attempt, and described outputs in another form."""
    left = f"{ledger.folder(SPEC)}/run.yaml"
    store.create(ledger.client, left, b"another form")
    with pytest.raises(
        LedgerConflictError, match=r"If no run\.json is beside it, .* move it away, then clear the task"
    ):
        ledger.commit(RECORDED, FILES, RECEIPT)
    bucket, key = store.split(left)
    ledger.client.delete_object(Bucket=bucket, Key=key)
    ledger.put_receipt(SPEC, RECEIPT)
    ledger.commit(RECORDED, FILES, RECEIPT)
    assert ledger.recorded(SPEC) == RECORDED


def test_a_record_that_an_earlier_deployment_writes_at_the_same_moment_stands(ledger, monkeypatch):
    earlier = replace(RECORDED, recorded_at="2020-03-06T05:59:59+00:00")
    store.create(ledger.client, f"{ledger.folder(SPEC)}/{RECORD}", earlier.to_json().encode())
    monkeypatch.setattr(Ledger, "committed", lambda *_: None)
    assert ledger.commit(RECORDED, FILES, RECEIPT) is False
    assert ledger.recorded(SPEC) == earlier


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
    name = ledger.put_receipt(SPEC, RECEIPT)
    assert ledger.receipt(SPEC, name) == RECEIPT


def test_a_push_that_is_cleared_keeps_each_receipt_under_a_name_of_its_own(ledger):
    later = Receipt(RECEIPT.remote, (replace(RECEIPT.proofs[0], proven_by="earlier"),))
    names = [ledger.put_receipt(SPEC, each) for each in (RECEIPT, RECEIPT, later)]
    assert names[0] == names[1] != names[2]
    assert [ledger.receipt(SPEC, name) for name in names] == [RECEIPT, RECEIPT, later]


def test_a_lost_receipt_says_which_task_to_clear(ledger):
    with pytest.raises(StoreError, match=rf"{ledger.folder(SPEC)}/receipts/x\.json is gone\. Clear push"):
        ledger.receipt(SPEC, "receipts/x.json")


def test_a_receipt_of_another_schema_is_refused_with_its_version(ledger):
    newer = RECEIPT.to_json().replace('"schema_version": 1', '"schema_version": 99')
    store.create(ledger.client, f"{ledger.folder(SPEC)}/receipts/x.json", newer.encode())
    with pytest.raises(RecordVersionError, match=r"receipts/x\.json has schema_version 99"):
        ledger.receipt(SPEC, "receipts/x.json")


def test_the_first_receipt_of_an_entry_stands(ledger):
    later = Receipt(RECEIPT.remote, (replace(RECEIPT.proofs[0], proven_by="earlier"),))
    assert ledger.commit(RECORDED, FILES, RECEIPT) is True
    assert ledger.commit(RECORDED, FILES, later) is False
    assert ledger.earlier_receipt(SPEC.pipeline, SPEC.partition) == RECEIPT


def test_the_earlier_receipt_is_the_newest_committed_one_of_the_days_before(ledger):
    days = {day: replace(SPEC, partition=day) for day in ("2020-02-20", "2020-03-03", "2020-03-04")}
    assert ledger.earlier_receipt("taxi", "2020-03-05") is None
    for number, spec in enumerate(days.values()):
        ledger.commit(recorded(spec), FILES, Receipt(f"s3://store/{number}", RECEIPT.proofs))
    ledger.put_receipt(SPEC, RECEIPT)  # kept by a push, never committed
    found = {
        day: ledger.earlier_receipt("taxi", day) for day in ("2020-02-19", "2020-03-02", "2020-03-05", "2020-04-01")
    }
    assert {day: receipt and receipt.remote for day, receipt in found.items()} == {
        "2020-02-19": None,
        "2020-03-02": "s3://store/0",
        "2020-03-05": "s3://store/2",
        "2020-04-01": None,
    }


def recorded(spec):
    return replace(RECORDED, **spec.to_dict())


def test_other_outputs_under_the_same_key_are_a_conflict_that_names_path_and_both_hashes(ledger):
    ledger.commit(RECORDED, FILES, RECEIPT)
    with pytest.raises(OtherOutputsError, match=rf"model\.json .*recorded {'a' * 32}, now {'c' * 32}"):
        ledger.commit(replace(RECORDED, outputs={**RECORDED.outputs, "model.json": "c" * 32}), FILES, RECEIPT)
    assert ledger.records("taxi") == [RECORDED]


def test_other_outputs_of_another_environment_are_not_a_stage_that_does_not_repeat_itself(ledger):
    ledger.commit(RECORDED, FILES, RECEIPT)
    other = replace(RECORDED, environment="e" * 64, outputs={"model.json": "c" * 32})
    with pytest.raises(LedgerConflictError, match=rf"{'d' * 64}, this attempt ran in {'e' * 64}") as caught:
        ledger.commit(other, FILES, RECEIPT)
    assert not isinstance(caught.value, OtherOutputsError)
    assert (
        ledger.commit(replace(RECORDED, environment="e" * 64), FILES, RECEIPT) is False
    )  # the same outputs are the same


def test_a_first_attempt_that_was_changed_is_refused_with_its_address(ledger):
    for text, error in (("{", RecordError), ('{"schema_version": 9}', RecordVersionError)):
        spec = replace(SPEC, release=f"v1.0.{len(text)}")
        store.create(ledger.client, f"{ledger.folder(spec)}/{ATTEMPT}", text.encode())
        with pytest.raises(error, match=rf"{ledger.folder(spec)}/{ATTEMPT}"):
            ledger.commit(recorded(spec), FILES, RECEIPT)


def test_records_come_back_as_they_were_committed_by_partition_or_all(ledger):
    other = recorded(replace(SPEC, partition="2020-03-04"))
    for record in (RECORDED, other):
        ledger.commit(record, FILES, RECEIPT)
    ledger.put_manifest(replace(SPEC, partition="2020-03-03"), MANIFEST)  # a run that was never committed
    assert ledger.records("taxi", SPEC.partition) == [RECORDED]
    assert sorted(ledger.records("taxi"), key=lambda record: record.partition) == [other, RECORDED]
    assert ledger.pipelines() == ["taxi"]


def test_a_record_that_breaks_its_schema_is_not_written(ledger):
    with pytest.raises(RecordError, match=r"\$\.mode"):
        ledger.commit(replace(RECORDED, mode="manual"), FILES, RECEIPT)
    assert RECORD not in kept(ledger)


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        pytest.param('"schema_version": 2', '"schema_version": 3', RecordVersionError, "schema_version 3", id="newer"),
        pytest.param('"mode": "daily"', '"mode": "odd"', RecordError, r"\$\.mode", id="another value"),
        pytest.param(
            '"commit": "cc', '"commit": "cd', RecordError, "it was changed", id="another content than its key"
        ),
        pytest.param("{", "", RecordError, "is not JSON", id="no JSON"),
    ],
)
def test_a_record_that_was_changed_is_refused_with_its_address(ledger, old, new, error, said):
    text = RECORDED.to_json().replace(old, new, 1)
    store.create(ledger.client, f"{ledger.folder(SPEC)}/{RECORD}", text.encode())
    with pytest.raises(error, match=rf"{ledger.folder(SPEC)}/{RECORD}.*{said}"):
        ledger.records("taxi")


WRITERS = 16


def test_of_sixteen_runs_that_commit_one_key_at_once_one_does_and_none_fails(ledger):
    start = Barrier(WRITERS)

    def commit(number):
        receipt = Receipt(f"{RECEIPT.remote}/{number}", RECEIPT.proofs)
        ledger.put_receipt(SPEC, receipt)
        start.wait(30)
        return ledger.commit(replace(RECORDED, dag_run=f"run {number}"), FILES, receipt)

    with ThreadPoolExecutor(WRITERS) as pool:
        committed = list(pool.map(commit, range(WRITERS)))
    assert sorted(committed) == [False] * (WRITERS - 1) + [True]
    entry = kept(ledger)
    assert {name for name in entry if not name.startswith("receipts/")} == ENTRY
    assert json.loads(entry[RECORD])["dag_run"] == f"run {committed.index(True)}"


def test_of_sixteen_runs_with_another_outcome_each_one_is_kept_and_the_others_fail_with_both_hashes(ledger):
    start = Barrier(WRITERS)
    locks = [f"schema: '2.0'\nstages: {{}}  # {number}\n" for number in range(WRITERS)]
    models = [f"{number:032x}" for number in range(WRITERS)]
    ledger.put_receipt(SPEC, RECEIPT)

    def commit(number):
        start.wait(30)
        try:
            record = replace(RECORDED, outputs={"model.json": models[number]})
            return ledger.commit(record, {**FILES, "dvc.lock": locks[number]}, RECEIPT)
        except LedgerConflictError as error:
            return str(error)

    with ThreadPoolExecutor(WRITERS) as pool:
        outcomes = list(pool.map(commit, range(WRITERS)))
    assert outcomes.count(True) == 1
    winner = outcomes.index(True)
    assert kept(ledger)["dvc.lock"] == locks[winner].encode()
    for number, said in enumerate(outcomes):
        if said is not True:
            by_lock = sha256(locks[winner]) in said and sha256(locks[number]) in said
            assert by_lock or (models[winner] in said and models[number] in said)


def test_a_receipt_that_a_newer_deployment_wrote_only_costs_looks(ledger):
    ledger.commit(RECORDED, FILES, RECEIPT)
    newer = replace(SPEC, partition="2020-03-06")
    text = RECEIPT.to_json().replace('"schema_version": 1', '"schema_version": 99')
    store.create(ledger.client, f"{ledger.folder(newer)}/receipt.json", text.encode())
    store.create(ledger.client, f"{ledger.folder(newer)}/{RECORD}", recorded(newer).to_json().encode())
    assert ledger.earlier_receipt("taxi", "2020-03-07") == RECEIPT


def test_an_event_that_is_no_json_is_named(ledger):
    store.create(ledger.client, f"{ledger.url}/taxi/promotions/2020-03-05-x.json", b"<html>")
    with pytest.raises(RecordError, match=r"promotions/2020-03-05-x\.json is not JSON"):
        ledger.newest_daily_event("taxi", "promotions")


def test_an_event_is_noted_once(ledger):
    assert ledger.event_names("taxi", "alerts") == []
    assert ledger.event("taxi", "alerts", "drift", {"ts": "1"}) is True
    assert ledger.event("taxi", "alerts", "drift", {"ts": "2"}) is False
    assert ledger.event_names("taxi", "alerts") == ["drift"]
