"""The generated ledger that benchmarks use is a real one: the modules of the tasks read and prove all of it."""

from __future__ import annotations

import sys

import pytest
from live_servers import ROOT, free_ports, running
from stack_model import Ports, Secrets, Stack

sys.path.insert(0, str(ROOT / "tests" / "bench"))

from buckets import apply_buckets, s3_client
from generated_ledger import generate
from generated_run import LEDGER_URL, raw_of, store_of

from retrain.archive import recorded_documents
from retrain.archive.verify import verify
from retrain.judge import judged_days
from retrain.run.release import Release
from retrain.run.run_record import counting
from retrain.store import ledger_facts, ledger_index, promotions, s3
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote

DAYS, WINDOW = 12, 5


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory):
    stack = Stack(ROOT, tmp_path_factory.mktemp("generated"), Ports(*free_ports(6)), Secrets.generate())
    made = generate(stack.state / "s3" / "objects", 2, DAYS, window=WINDOW, files=4)
    with running(stack, "s3"):
        apply_buckets(stack)
        yield made, s3_client(stack)


def test_every_generated_run_can_be_read_and_is_proven_on_the_remote(generated):
    made, client = generated
    ledger = Ledger(client, LEDGER_URL)
    assert ledger.pipelines() == list(made.pipelines)
    for pipeline in made.pipelines:
        records = ledger.records(pipeline)
        assert (records[0].partition, records[-1].partition, len(records)) == (made.first, made.last, DAYS)
        with ledger_index.opened(None, LEDGER_URL, pipeline) as index:
            documents = recorded_documents.of_all_days(ledger, pipeline, index)
            found = verify(records, documents, Remote(client, store_of(pipeline)))
        assert found.sound
        assert (found.runs, found.proven) == (DAYS, 4 * DAYS)
        for record in records:
            assert ledger.manifest(record.spec).days == WINDOW
            assert len(ledger.committed_receipt(record).proofs) == record.objects


def test_the_generated_events_are_those_that_the_tasks_write(generated):
    made, client = generated
    ledger, pipeline = Ledger(client, LEDGER_URL), made.pipelines[0]
    records = ledger.records(pipeline)
    assert counting(records, ledger.counts(pipeline)) == records
    assert [ledger_facts.mirrored(ledger, record).model_version for record in records] == [
        str(number + 1) for number in range(DAYS)
    ]
    assert len(judged_days.kept_days(ledger, pipeline)) == DAYS
    assert promotions.newest(ledger, pipeline).run_key == records[10].run_key
    ledger_facts.fix_tag(ledger, pipeline, Release(records[0].release, records[0].commit))


def test_the_generated_raw_objects_are_those_of_the_manifests(generated):
    made, client = generated
    ledger, pipeline = Ledger(client, LEDGER_URL), made.pipelines[0]
    newest = ledger.manifest(ledger.records(pipeline)[-1].spec)
    first, last = newest.objects[0].key.rpartition("/")[0], f"dt={made.last}"
    listed = [each.object for each in s3.list_versions(client, raw_of(pipeline), first, last)]
    assert [item for item in listed if not item.key.endswith("/_SUCCESS")] == list(newest.objects)
