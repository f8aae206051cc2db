"""A recorded run of another team's pipeline: restored, checked and pruned against real S3 servers, and what they say of what is gone."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from foreign_pipeline import FIT, MANIFEST, PIPELINE, SPLIT, Attempt, Pipeline
from stack_model import REGION

from retrain.archive import prune, recorded_documents, restore, verify
from retrain.deployment.sections import Repository
from retrain.errors import (
    DiskFullError,
    GoneError,
    LedgerUnreadableError,
    PrunedRunError,
    RestoreTargetError,
    TamperedError,
)
from retrain.inputs.fetched_stage import FetchedStage
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts, ledger_index, proving
from retrain.store import s3 as store
from retrain.store.first_attempt import FirstAttempt
from retrain.store.ledger import ATTEMPT, DESCRIPTION, RECORD, Ledger
from retrain.store.receipt import Proof, Receipt
from retrain.store.remote import Remote

# A file that may be run, and the same content in two places.
FILES = {
    "fit.py": FIT + "pathlib.Path('model.json').chmod(0o755)\n",
    "split.py": SPLIT + "(folder.parent / 'twice.txt').write_text('0 2 4')\n",
}
LATER = datetime.now(UTC) + prune.GRACE + timedelta(hours=1)


@dataclass(frozen=True)
class Recorded:
    """A run that was pushed, proven and recorded, and what it takes to have it again."""

    pipeline: Pipeline
    attempt: Attempt
    ledger: Ledger
    remote: Remote
    record: RunRecord

    def restore(self, to, **changes):
        record = replace(self.record, **changes)
        origin = self.pipeline.origin.address
        return restore.restore(
            record,
            self.ledger,
            self.remote,
            Repository(url=origin.url),
            SimpleNamespace(origin=lambda: nullcontext(origin)),
            to,
            mirrors=to.parent / "mirrors",
            environments=None,
            tools=self.pipeline.environments,
            raw=None,
        )

    @property
    def documents(self):
        with ledger_index.opened(None, self.ledger.url, PIPELINE) as index:
            return recorded_documents.of_some_runs(self.ledger, PIPELINE, index)

    def at(self, path):
        """Where the remote has the object of an output."""
        bucket, prefix = store.split(self.remote.url)
        return {"Bucket": bucket, "Key": f"{prefix}/{self.attempt.named(path).key}"}


def record_of(pipeline, attempt, ledger, remote):
    """What the tasks `push` and `record_run` leave in the ledger, and the first of them on the remote."""
    spec, objects = pipeline.spec("v1.0.0"), attempt.objects()

    def send():
        for item in objects:
            assert store.create(
                remote.client, f"{remote.url}/{item.key}", (attempt.program.cache / item.key).read_bytes()
            )

    proven = proving.push_and_prove(send, remote, objects, attempt.program.cache, {}).receipt
    record = RunRecord(
        **spec.to_dict(),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        dag_run="manual",
        mode="daily",
        environment="e" * 64,
        threads=1,
        raw_versioned=False,
        outputs={output.path: output.md5 for output in attempt.description.outputs},
        metrics={},
        objects=len(proven.proofs),
        size=proven.size,
    )
    files = {
        "dvc.lock": (attempt.checkout / "dvc.lock").read_text(),
        "run.yaml": spec.run_yaml(),
        DESCRIPTION: attempt.description.to_json(),
    }
    ledger.put_manifest(spec, MANIFEST)
    assert ledger.commit(record, files, proven)
    return record


@pytest.fixture(scope="module")
def reproduced(stack, deployment_dvc, tmp_path_factory):  # noqa: ARG001 - the connections have to be defined
    """A pipeline, and an attempt of it that was reproduced. Read them only."""
    with pytest.MonkeyPatch.context() as patch:
        pipeline = Pipeline.start(tmp_path_factory.mktemp("reproduced"), "reproduced", deployment_dvc, patch)
        attempt = pipeline.attempt(files=FILES)
        attempt.repro()
    return pipeline, attempt


@pytest.fixture
def recorded(reproduced, either_server, either_s3, connection, request):
    """The reproduced attempt as a recorded run, with a ledger and a remote of the test's own."""
    connection(
        "aws_default",
        conn_type="aws",
        login=either_server.access_key,
        password=either_server.secret_key,
        extra={"endpoint_url": either_server.url, "region_name": REGION},
    )
    pipeline, attempt = reproduced
    place = f"restored-{abs(hash(request.node.nodeid)):x}"
    either_s3.create_bucket(Bucket=place)
    ledger, remote = Ledger(either_s3, f"s3://{place}/ledger"), Remote(either_s3, f"s3://{place}/dvc")
    return Recorded(pipeline, attempt, ledger, remote, record_of(pipeline, attempt, ledger, remote))


def test_a_restored_day_has_code_inputs_and_outputs_and_needs_no_mirror(recorded, tmp_path):
    restored = recorded.restore(tmp_path / "day")
    for path in (
        "split.py",
        "run.yaml",
        "manifest.json",
        "dvc.lock",
        "data/parts/even.txt",
        "data/parts/odd/odd.txt",
        "data/parts/twice.txt",
        "model.json",
    ):
        assert (restored.path / path).read_bytes() == (recorded.attempt.checkout / path).read_bytes(), path
    assert restored.files == 5
    assert [path for path in ("model.json", "data/parts/even.txt") if os.access(restored.path / path, os.X_OK)] == [
        "model.json"
    ]
    assert not (restored.path / ".git" / "objects" / "info" / "alternates").exists()


def test_after_a_garbage_collection_every_output_that_is_gone_is_named_and_nothing_else(recorded, tmp_path):
    """What `dvc gc -c -A` does to a pinned deployment: no commit holds the day's dvc.lock, so all of it goes."""
    other = recorded.attempt.copy(tmp_path / "other", recorded.remote.url)
    (other.checkout / "dvc.lock").unlink()
    done = other.program._run("gc", "--all-commits", "--cloud", "--force", "--remote", "retrain", timeout=120)
    assert done.returncode == 0, done.output
    assert verify.verify([recorded.record], recorded.documents, recorded.remote).missing
    with pytest.raises(GoneError) as gone:
        recorded.restore(tmp_path / "day")
    for path in ("data/parts (stage split", "model.json (stage fit", "reports/metrics.json (stage report"):
        assert path in str(gone.value)
    assert str(gone.value).startswith("3 objects")
    assert not (tmp_path / "day").exists()


def test_one_file_of_a_folder_that_is_gone_is_named_by_its_own_path(recorded, tmp_path):
    recorded.remote.client.delete_object(**recorded.at("data/parts/odd/odd.txt"))
    with pytest.raises(GoneError, match=r"^1 objects .*data/parts/odd/odd\.txt \(stage split"):
        recorded.restore(tmp_path / "day")


@pytest.mark.parametrize("path", ["model.json", "data/parts"])
def test_a_tampered_object_is_not_restored(recorded, tmp_path, path):
    where = recorded.at(path)
    content = recorded.remote.client.get_object(**where)["Body"].read()
    recorded.remote.client.put_object(
        **where, Body=content.replace(b"2", b"3") if path == "model.json" else content[:-1] + b" ]"
    )
    with pytest.raises(TamperedError, match=path):
        recorded.restore(tmp_path / "day")
    assert not (tmp_path / "day" / ".dvc" / "cache" / recorded.attempt.named(path).key).exists()


def test_what_is_wrong_or_missing_in_the_bucket_is_told_by_path(recorded):
    sound = verify.verify([recorded.record], recorded.documents, recorded.remote)
    assert (sound.sound, sound.proven) == (True, recorded.record.objects)
    recorded.remote.client.put_object(**recorded.at("model.json"), Body=b"{}")
    recorded.remote.client.delete_object(**recorded.at("data/parts/even.txt"))
    found = verify.verify([recorded.record], recorded.documents, recorded.remote)
    assert [item.path for item in found.wrong] == ["model.json"]
    assert [item.path for item in found.missing] == ["data/parts/even.txt"]
    assert not found.sound


def test_a_folder_with_something_in_it_is_refused_and_left_alone(recorded, tmp_path):
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "mine").write_text("precious")
    with pytest.raises(RestoreTargetError):
        recorded.restore(tmp_path / "day")
    assert [path.name for path in (tmp_path / "day").iterdir()] == ["mine"]


def test_a_day_that_does_not_fit_is_refused_before_anything_is_written(recorded, tmp_path):
    with pytest.raises(DiskFullError, match="Nothing was written"):
        recorded.restore(tmp_path / "day", size=2**62)
    assert not (tmp_path / "day").exists()


def test_pruning_takes_only_what_no_kept_entry_reaches_and_nothing_young(recorded):
    stray = f"{recorded.remote.url}/files/md5/ab/{'c' * 30}"
    assert store.create(recorded.remote.client, stray, b"of a run that was never recorded")
    assert prune.plan(recorded.ledger, recorded.remote, PIPELINE, 30).remove == {}
    chosen = prune.plan(recorded.ledger, recorded.remote, PIPELINE, 30, now=LATER)
    assert list(chosen.remove) == [f"files/md5/ab/{'c' * 30}"]
    assert prune.carry_out(chosen, recorded.ledger, recorded.remote, 30) == 1
    assert store.get(recorded.remote.client, stray) is None
    assert verify.verify([recorded.record], recorded.documents, recorded.remote).sound


def test_what_an_unrecorded_run_of_a_kept_day_has_fetched_is_not_pruned(recorded):
    """It cannot be fetched again, however long the run's later stages fail. That of an older day goes."""
    keys = {}
    for day in ("2020-03-06", "2019-03-06"):
        spec = replace(recorded.record.spec, partition=day)
        keys[day] = f"files/md5/ab/{day.replace('-', '').ljust(30, '0')}"
        fetched = FetchedStage("run", "", "", (), (Proof(keys[day], 1, "", "etag"),))
        recorded.ledger.keep_fetched(spec, fetched.name, fetched.to_json())
        assert store.create(recorded.remote.client, f"{recorded.remote.url}/{keys[day]}", b"x")
    chosen = prune.plan(recorded.ledger, recorded.remote, PIPELINE, 30, now=LATER)
    assert list(chosen.remove) == [keys["2019-03-06"]]
    assert [record.partition for record in recorded.ledger.records(PIPELINE)] == [recorded.record.partition]


def test_what_an_attempt_has_proven_that_was_killed_before_its_record_is_not_pruned(recorded):
    """The next attempt completes its entry, however late. What another push of the run has proven goes, and all of an older day."""
    keys, ledger = {}, recorded.ledger
    for name, day in (("kept", "2020-03-06"), ("other", "2020-03-06"), ("old", "2019-03-06")):
        keys[name] = f"files/md5/ab/{name.encode().hex().ljust(30, '0')}"
        spec = replace(recorded.record.spec, partition=day)
        receipt = Receipt(recorded.remote.url, (Proof(keys[name], 1, "", "etag"),))
        own = ledger.put_receipt(spec, receipt)
        if name != "other":
            attempt = FirstAttempt(RunRecord(**{**vars(recorded.record), **spec.to_dict()}), {}, own)
            assert store.create(ledger.client, f"{ledger.folder(spec)}/{ATTEMPT}", attempt.to_json().encode())
        assert store.create(recorded.remote.client, f"{recorded.remote.url}/{keys[name]}", b"x")
    chosen = prune.plan(ledger, recorded.remote, PIPELINE, 30, now=LATER)
    assert set(chosen.remove) == {keys["other"], keys["old"]}


def test_a_run_whose_objects_were_pruned_is_known_to_be(recorded, tmp_path):
    """A year later the day is older than what is kept; a newer day keeps nothing that only the older one needs."""
    spec = replace(recorded.record.spec, partition="2021-03-05")
    receipt = recorded.ledger.committed_receipt(recorded.record)
    newer = replace(recorded.record, **spec.to_dict())
    assert recorded.ledger.commit(newer, {}, replace(receipt, proofs=receipt.proofs[:1]))
    chosen = prune.plan(recorded.ledger, recorded.remote, PIPELINE, 30, now=LATER)
    assert [record.partition for record in chosen.losing] == [recorded.record.partition]
    assert prune.carry_out(chosen, recorded.ledger, recorded.remote, 30) == len(receipt.proofs) - 1
    gone = ledger_facts.pruned(recorded.ledger, PIPELINE)
    found = verify.verify([recorded.record], recorded.documents, recorded.remote, gone)
    assert (found.runs, found.pruned, found.sound) == (0, 1, True)
    assert prune.plan(recorded.ledger, recorded.remote, PIPELINE, 30, now=LATER).losing == ()
    with pytest.raises(PrunedRunError, match=rf"of {recorded.record.partition} .*make prune.*backfill") as raised:
        recorded.restore(tmp_path / "day")
    assert isinstance(raised.value.__cause__, GoneError)
    assert not (tmp_path / "day").exists()


def test_pruning_refuses_when_the_ledger_cannot_be_read_whole(recorded):
    folder = f"{recorded.ledger.url}/{PIPELINE}/dt=2020-03-06/{'0' * 64}"
    newer = json.dumps({**json.loads(recorded.record.to_json()), "schema_version": 99}).encode()
    assert store.create(recorded.ledger.client, f"{folder}/{RECORD}", newer)
    with pytest.raises(LedgerUnreadableError, match=r"schema_version 99.*Nothing was removed"):
        prune.plan(recorded.ledger, recorded.remote, PIPELINE, 30, now=LATER)


def test_pruning_an_empty_ledger_removes_nothing(recorded):
    elsewhere = Ledger(recorded.ledger.client, f"{recorded.ledger.url}-elsewhere")
    with pytest.raises(LedgerUnreadableError, match="check the address"):
        prune.plan(elsewhere, recorded.remote, PIPELINE, 30, now=LATER)
