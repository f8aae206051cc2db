"""Commands over a whole ledger, on a generated one: their requests are counted, and an index changes no answer."""

from __future__ import annotations

import argparse
import logging
import resource
import sqlite3
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from gate import FOR_EVER, gate_to
from live_servers import ROOT, free_ports, running, together
from stack_model import RAW_BUCKET, REGION, Ports, Secrets, Stack

sys.path.insert(0, str(ROOT / "tests" / "bench"))

from buckets import apply_buckets, s3_client
from counted_command import operation
from generated_ledger import generate, pipeline_files
from generated_run import LEDGER_URL, store_of

from retrain.archive import prune, recorded_documents
from retrain.archive.verify import verify
from retrain.commands import history as history_command
from retrain.commands import prune as prune_command
from retrain.errors import StoreError, TamperedError
from retrain.store import ledger_facts, ledger_index
from retrain.store import s3 as store
from retrain.store.ledger import RECORD, Ledger
from retrain.store.ledger_index import DocumentVersion
from retrain.store.remote import Remote

DAYS, WINDOW, FILES, KEEP = 20, 5, 4, 8
NAMES = ("pipeline_00", "pipeline_01")
LATER = datetime.now(UTC) + prune.GRACE + timedelta(hours=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    stack = Stack(ROOT, tmp_path_factory.mktemp("indexed"), Ports(*free_ports(6)), Secrets.generate())
    made = generate(stack.state / "s3" / "objects", 2, DAYS, window=WINDOW, files=FILES)
    pipeline_files(stack.state / "pipelines", made, window=WINDOW)
    with running(stack, "s3"):
        apply_buckets(stack)
        yield stack


@pytest.fixture
def client(server):
    return s3_client(server)


@pytest.fixture
def ledger(client):
    return Ledger(client, LEDGER_URL)


@pytest.fixture
def remote(client):
    return Remote(client, store_of(NAMES[0]))


@contextmanager
def counted(client):
    """The requests of a client while the context is open, by kind."""
    requests = Counter()

    def note(request, **_):
        requests[operation(request.method, request.url)] += 1

    client.meta.events.register("before-send.s3", note)
    yield requests
    client.meta.events.unregister("before-send.s3", note)


@contextmanager
def documents_of(ledger, folder, pipeline=NAMES[0]):
    with ledger_index.opened(folder, ledger.url, pipeline) as index:
        yield recorded_documents.of_all_days(ledger, pipeline, index)


def verified(ledger, remote, folder):
    with documents_of(ledger, folder) as documents:
        found = verify(documents.records(), documents, Remote(remote.client, remote.url))
    return found.runs, found.proven, found.missing, found.wrong, found.unproven


def test_records_are_listed_once_and_each_is_read_once(ledger, tmp_path):
    asked = []
    for _ in range(2):
        with counted(ledger.client) as requests, documents_of(ledger, tmp_path) as documents:
            records = documents.records()
        asked.append(dict(requests))
        assert records == ledger.records(NAMES[0])
    assert asked == [{"LIST": 1, "GET": DAYS}, {"LIST": 1}]


def test_a_document_that_was_written_again_is_read_again(ledger, tmp_path):
    record = ledger.records(NAMES[0])[3]
    url = f"{ledger.folder(record.spec)}/{RECORD}"
    text = store.get(ledger.client, url)
    bucket, key = store.split(url)
    with documents_of(ledger, tmp_path) as documents:
        documents.records()
    ledger.client.put_object(Bucket=bucket, Key=key, Body=text.replace(b'"mode": "daily"', b'"mode": "backfill"'))
    try:
        with counted(ledger.client) as requests, documents_of(ledger, tmp_path) as documents:
            assert documents.records()[3].mode == "backfill"
        assert requests["GET"] == 1
    finally:
        ledger.client.put_object(Bucket=bucket, Key=key, Body=text)


def garbage(file):
    file.write_bytes(b"no database" * 1000)


def cut_off(file):
    file.write_bytes(file.read_bytes()[:5000])


def of_another_ledger(file):
    with sqlite3.connect(file) as index:
        index.execute("UPDATE about SET ledger = 's3://elsewhere/ledger'")


def of_another_schema(file):
    with sqlite3.connect(file) as index:
        index.execute("DROP TABLE documents")
        index.execute("CREATE TABLE documents (name TEXT)")


def swapped(file):
    """Each row has the facts and the digest of another one."""
    with sqlite3.connect(file) as index:
        rows = index.execute("SELECT form, key, facts, digest FROM documents ORDER BY form, key").fetchall()
        for (form, key, *_), (_, _, facts, digest) in zip(rows, [*rows[1:], rows[0]], strict=True):
            index.execute("UPDATE documents SET facts=?, digest=? WHERE form=? AND key=?", (facts, digest, form, key))


def emptied(file):
    with sqlite3.connect(file) as index:
        index.execute("UPDATE documents SET facts = x''")


@pytest.mark.parametrize("spoil", [garbage, cut_off, of_another_ledger, of_another_schema, swapped, emptied])
def test_a_spoilt_index_is_not_believed_and_is_good_again_afterwards(ledger, remote, tmp_path, caplog, spoil):
    right = verified(ledger, remote, tmp_path)
    (file,) = tmp_path.iterdir()
    spoil(file)
    caplog.set_level(logging.WARNING)
    with counted(ledger.client) as requests, documents_of(ledger, tmp_path) as documents:
        assert documents.records() == ledger.records(NAMES[0])
    assert requests["GET"] == 2 * DAYS  # `ledger.records` reads them too
    assert "the index" in caplog.text
    assert verified(ledger, remote, tmp_path) == right
    with counted(ledger.client) as requests, documents_of(ledger, tmp_path) as documents:
        documents.records()
    assert requests["GET"] == 0


def test_where_no_index_can_be_kept_documents_are_read_from_the_ledger(ledger, tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    with documents_of(ledger, tmp_path / "file" / "index") as documents:
        assert documents.records() == ledger.records(NAMES[0])
    assert "cannot be used" in caplog.text


def test_a_full_disk_costs_the_index_and_no_answer(ledger, tmp_path, caplog):
    with documents_of(ledger, tmp_path) as documents:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (1, before[1])
        )  # no file may grow: SQLite gets the error of a full disk
        try:
            records = documents.records()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert records == ledger.records(NAMES[0])
    assert "cannot be used" in caplog.text


def test_documents_that_the_ledger_no_longer_lists_are_forgotten(ledger, tmp_path):
    with ledger_index.opened(tmp_path, ledger.url, NAMES[0]) as index:
        index.keep("record 1", {DocumentVersion(f"dt=2017-01-01/key/{RECORD}", "e" * 32, 1): ("old",)})
        recorded_documents.of_all_days(ledger, NAMES[0], index)
        assert not index.known("record 1", [DocumentVersion(f"dt=2017-01-01/key/{RECORD}", "e" * 32, 1)])


def test_directories_of_runs_that_are_not_verified_any_more_are_forgotten(ledger, remote, tmp_path):
    for left_out in ((), {ledger.records(NAMES[0])[0].run_key}):
        with documents_of(ledger, tmp_path) as documents:
            verify(documents.records(), documents, remote, left_out)
    with sqlite3.connect(next(tmp_path.iterdir())) as index:
        kept = index.execute("SELECT count(*) FROM documents WHERE form = 'folder 1'").fetchone()
    assert kept == (DAYS - 1,)


def test_two_processes_keep_their_rows_in_one_index(tmp_path):
    code = """
import json, sys
from pathlib import Path
from retrain.store import ledger_index
from retrain.store.ledger_index import DocumentVersion
print("ready", flush=True); sys.stdin.readline()
with ledger_index.opened(Path(sys.argv[1]), "s3://ledger", "taxi") as index:
    for number in range(50):
        index.keep("form", {DocumentVersion(f"{number}", "etag", 1): (f"fact {number}",)})
    print(json.dumps(len(index.known("form", [DocumentVersion(f"{n}", "etag", 1) for n in range(50)]))))
"""
    assert together(2, code, {"PATH": "/usr/bin"}, str(tmp_path)) == [50, 50]


def test_verifying_reads_only_what_is_new_and_answers_the_same(ledger, remote, tmp_path):
    with counted(ledger.client) as cold:
        first = verified(ledger, remote, tmp_path)
    with counted(ledger.client) as warm:
        second = verified(ledger, remote, tmp_path)
    assert first == second == (DAYS, 4 * DAYS, (), (), ())
    # A record, a description and a folder's listing each day; the ledger and the remote are listed.
    assert dict(cold) == {"LIST": 2, "GET": 3 * DAYS}
    assert dict(warm) == {"LIST": 2}


@pytest.mark.parametrize("path", ["data/days", "model.bin"])
def test_a_lost_object_is_missing_with_an_index_and_without(ledger, remote, tmp_path, path):
    verified(ledger, remote, tmp_path)
    key = f"{remote.url}/{_key_of(ledger, path)}"
    content = store.get(remote.client, key)
    bucket, name = store.split(key)
    remote.client.delete_object(Bucket=bucket, Key=name)
    try:
        with_index, without = verified(ledger, remote, tmp_path), verified(ledger, remote, None)
        assert with_index == without
        assert [item.path for item in without[2]] == [path]
    finally:
        remote.client.put_object(Bucket=bucket, Key=name, Body=content)


def test_a_folder_with_other_content_is_refused_with_an_index_and_without(ledger, remote, tmp_path):
    verified(ledger, remote, tmp_path)
    key = f"{remote.url}/{_key_of(ledger, 'data/days')}"
    content = store.get(remote.client, key)
    bucket, name = store.split(key)
    remote.client.put_object(Bucket=bucket, Key=name, Body=b"[]")
    try:
        for folder in (tmp_path, None):
            with pytest.raises(TamperedError, match="data/days"):
                verified(ledger, remote, folder)
    finally:
        remote.client.put_object(Bucket=bucket, Key=name, Body=content)


def _key_of(ledger, path):
    md5 = ledger.records(NAMES[0])[7].outputs[path]
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def test_a_prune_reads_each_receipt_once_and_plans_the_same(ledger, remote, tmp_path):
    with counted(ledger.client) as cold:
        first = prune.plan(ledger, remote, NAMES[0], KEEP, now=LATER, indexes=tmp_path)
    with counted(ledger.client) as warm:
        second = prune.plan(ledger, remote, NAMES[0], KEEP, now=LATER, indexes=tmp_path)
    assert first == second == prune.plan(ledger, remote, NAMES[0], KEEP, now=LATER)
    assert (len(first.kept), len(first.losing)) == (KEEP, DAYS - KEEP)
    # The pipelines, the days of both, the remote, the earlier removals; a record and a receipt each day.
    assert dict(cold) == {"LIST": 5, "GET": 4 * DAYS}
    assert dict(warm) == {"LIST": 5}


def test_a_prune_that_s3_refuses_leaves_no_run_noted_as_pruned(server, ledger, remote):
    chosen = prune.plan(ledger, remote, NAMES[0], KEEP, now=LATER)
    assert chosen.losing
    with gate_to(server.s3_url) as gate:
        behind = s3_client(replace(server, ports=replace(server.ports, s3=int(gate.url.rpartition(":")[2]))))
        gate.refuse(FOR_EVER, "POST")
        with pytest.raises(StoreError, match="SlowDown to DeleteObjects"):
            prune.carry_out(chosen, Ledger(behind, ledger.url), Remote(behind, remote.url), KEEP)
        assert [path for path in gate.puts if path.endswith("-removed.json")]
    assert ledger_facts.pruned(ledger, NAMES[0]) == frozenset()
    assert verified(ledger, remote, None) == (DAYS, 4 * DAYS, (), (), ())


@pytest.fixture
def commands(server, connection, monkeypatch):
    extra = {"endpoint_url": server.s3_url, "region_name": REGION}
    account = {"login": server.secrets.s3_access_key, "password": server.secrets.s3_secret_key}
    connection("aws_default", conn_type="aws", extra=extra, **account)
    monkeypatch.setenv("RETRAIN_PIPELINES", str(server.state / "pipelines"))


@pytest.mark.usefixtures("commands")
def test_the_history_of_changed_raw_data_lists_the_raw_objects_once(client, monkeypatch, tmp_path):
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path))
    options = argparse.Namespace(pipeline=NAMES[0], stale=True)
    assert history_command.answer(options).document == []
    changed = {"Bucket": RAW_BUCKET, "Key": f"raw/{NAMES[0]}/dt=2018-01-10/trips.parquet"}
    version = client.put_object(**changed, Body=b"landed again")["VersionId"]
    try:
        with _all_counted(monkeypatch) as requests:
            rows = history_command.answer(options).document
    finally:
        client.delete_object(**changed, VersionId=version)
    assert [row["partition"] for row in rows] == [f"2018-01-{day}" for day in range(10, 10 + WINDOW)]
    assert {day for row in rows for day in row["stale"]} == {"2018-01-10"}
    # The days, the events `counts` and `pruned`, the raw objects.
    assert dict(requests) == {"LIST": 4}


@contextmanager
def _all_counted(monkeypatch):
    """The requests of every client of this process, by kind."""
    from botocore.httpsession import URLLib3Session

    requests, send = Counter(), URLLib3Session.send

    def counting(self, request):
        requests[operation(request.method, request.url)] += 1
        return send(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(URLLib3Session, "send", counting)
        yield requests


@pytest.mark.usefixtures("commands")
def test_a_row_that_is_wrong_and_looks_right_costs_no_object(ledger, remote, monkeypatch, tmp_path):
    """It says that no kept run needs anything. Carried out, that plan would remove every object."""
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path))
    monkeypatch.setattr(prune, "GRACE", timedelta(days=-1))  # the objects are young enough for none, old enough for all
    with ledger_index.opened(tmp_path / "index", ledger.url, NAMES[0]) as index:
        documents = recorded_documents.of_all_days(ledger, NAMES[0], index)
        rows = [version for key, version in documents.listed.items() if key.endswith("/receipt.json")]
        index.keep("receipt 1", dict.fromkeys(rows, ()))
    options = argparse.Namespace(pipeline=NAMES[0], keep_days=DAYS, really=False)
    # Of four new objects a day, the other pipeline needs one of the same content: the metrics.
    assert prune_command.answer(options).document["objects"] == 3 * DAYS
    options.really = True
    assert prune_command.answer(options).document["objects"] == 0
    assert verified(ledger, remote, None) == (DAYS, 4 * DAYS, (), (), ())
