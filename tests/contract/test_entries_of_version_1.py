"""Entries that commit 899b122 wrote, whose dvc.lock has paths from each stage's own folder."""

from __future__ import annotations

import json

import pytest
from test_ledger_entries import SPEC

from retrain.archive import entry, recorded_documents, verify
from retrain.store import ledger_index
from retrain.store import s3 as store
from retrain.store.ledger import RECORD, Ledger
from retrain.store.receipt import Proof, Receipt
from retrain.store.remote import Remote

A, B, C = ("a" * 32, "b" * 32, "c" * 32 + ".dir")
LOCK = f"""
schema: '2.0'
stages:
  below:
    cmd: python train.py
    params: {{../params.yaml: {{train: {{rate: 0.1}}}}, ../run.yaml: {{partition: '2020-03-05'}}}}
    outs:
      - {{path: ../model.pkl, hash: md5, md5: {A}, size: 3, isexec: true}}
      - {{path: ../../reports/./plots, hash: md5, md5: {C}, size: 9}}
  one:
    cmd: x
    outs: [{{path: out.txt, hash: md5, md5: {B}, size: 1}}]
  two:
    cmd: x
    outs: [{{path: out.txt, hash: md5, md5: {B}, size: 1}}]
"""
OUTPUTS = {"model.pkl": A, "reports/plots": C, "one/out.txt": B, "two/out.txt": B}


def written(client, bucket, receipt):
    """A ledger with one entry of version 1."""
    ledger = Ledger(client, f"s3://{bucket}/ledger")
    record = {
        "schema_version": 1,
        **SPEC.to_dict(),
        "recorded_at": "2020-03-06T06:00:00+00:00",
        "dag_run": "scheduled",
        "mode": "daily",
        "environment": "e" * 64,
        "raw_versioned": True,
        "outputs": OUTPUTS,
        "metrics": {},
        "mlflow": {"run_id": "r", "experiment_id": "1", "model_version": None},
        "objects": len(receipt.proofs),
        "size": 1,
        "supersedes": None,
    }
    for name, text in (("dvc.lock", LOCK), ("receipt.json", receipt.to_json()), (RECORD, json.dumps(record))):
        store.create(client, f"{ledger.folder(SPEC)}/{name}", text.encode())
    return ledger


def proof(md5):
    return Proof(f"files/md5/{md5[:2]}/{md5[2:]}", 1, md5, "etag")


@pytest.fixture
def ledger(s3, bucket):
    return written(s3, bucket(), Receipt("s3://store/dvc", tuple(proof(md5) for md5 in (A, B, C))))


def test_outputs_are_found_wherever_their_stage_ran(ledger):
    found = entry.outputs(ledger.records("taxi")[0], ledger)
    assert {output.path: output.md5 for output in found} == OUTPUTS
    assert [output.path for output in found if output.executable] == ["model.pkl"]


def test_parameters_have_the_names_that_the_checkouts_top_gives_them(ledger):
    assert entry.params(ledger.records("taxi")[0], ledger) == {"train.rate": 0.1, "run.yaml:partition": "2020-03-05"}


def test_an_entry_that_proves_none_of_its_outputs_is_not_sound(s3, bucket):
    """What the version before could write for a dvc.yaml whose paths are templates."""
    ledger = written(s3, bucket(), Receipt("s3://store/dvc", ()))
    with ledger_index.opened(None, ledger.url, "taxi") as index:
        documents = recorded_documents.of_all_days(ledger, "taxi", index)
        found = verify.verify(documents.records(), documents, Remote(s3, f"s3://{bucket()}/dvc"))
    assert (found.sound, found.unproven) == (False, (SPEC.run_key,))
