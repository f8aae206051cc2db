"""The requests that a day's run sends to S3 are the same however many days are recorded, for the newest day and for an older one.

Each task's part that speaks to S3 runs with the task's own functions; what `dvc push` itself asks is DVC's.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from live_servers import ROOT, free_ports, running
from stack_model import Ports, Secrets, Stack

sys.path.insert(0, str(ROOT / "tests" / "bench"))

from buckets import apply_buckets, s3_client
from counted_command import operation
from generated_ledger import generate
from generated_run import LEDGER_URL, raw_of, store_of

from retrain.deployment.policies import Drift, Performance, Policies
from retrain.judge.judged_days import judge_day
from retrain.run import manifest, partition
from retrain.run.landed import LandingRule
from retrain.run.release import Release
from retrain.run.run_record import Mirrored
from retrain.run.run_spec import RunSpec
from retrain.store import ledger_facts, promotions, proving, raw_landing, s3
from retrain.store.ledger import Ledger
from retrain.store.promotions import NotedPromotion
from retrain.store.remote import Remote
from retrain.work.dvc.outputs import CachedObject

FEW, WINDOW, FILES = 130, 8, 30
MANY = {"few_00": FEW, "many_00": 4 * FEW}
OLDER = date(2018, 1, 1) + timedelta(days=FEW - 5)  # 120 days are judged with it in both ledgers
POLICIES = Policies(
    drift=Drift(report="drift.json"), performance=Performance(metrics="metrics.json", model="model", metric="mae")
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    stack = Stack(ROOT, tmp_path_factory.mktemp("days"), Ports(*free_ports(6)), Secrets.generate())
    for name, days in MANY.items():
        generate(stack.state / "s3" / "objects", 1, days, window=WINDOW, files=FILES, prefix=name.partition("_")[0])
    with running(stack, "s3"):
        apply_buckets(stack)
        found = s3_client(stack)
        # Pages of 100 keys, not 1000, so that a listing that grows with the days has more pages.
        found.meta.events.register(
            "before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.setdefault("MaxKeys", 100)
        )
        yield found


@dataclass(frozen=True)
class DayOfTasks:
    """A day's run, task by task, as far as S3 is asked."""

    ledger: Ledger
    pipeline: str
    day: str
    folder: object

    def resolve_run(self):
        days, root = partition.window(self.day, WINDOW), raw_of(self.pipeline)
        fixed = ledger_facts.fix_tag(self.ledger, self.pipeline, Release("v9.0.0", "a" * 40))
        listing, now = raw_landing.listing_of(self.ledger.client, root, LandingRule(), days)
        objects = manifest.of_listing(self.pipeline, self.day, root, days, listing, now)
        spec = RunSpec(self.pipeline, self.day, fixed.tag, fixed.commit, objects.digest)
        self.ledger.put_manifest(spec, objects)
        return spec

    def reproduce(self, spec):
        self.ledger.manifest(spec)
        assert not self.ledger.has(spec)
        s3.require_unchanged(self.ledger.client, self.ledger.manifest(spec))

    def push(self, spec):
        """The objects of the day before, and one more."""
        remote = Remote(self.ledger.client, store_of(self.pipeline))
        earlier = self.ledger.earlier_receipt(self.pipeline, self.day)
        new = f"{self.pipeline} {self.day} new".encode()
        item = CachedObject(hashlib.md5(new, usedforsecurity=False).hexdigest(), "train", "new")
        (self.folder / item.key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / item.key).write_bytes(new)
        known = [CachedObject(key.removeprefix("files/md5/").replace("/", ""), "train", key) for key in earlier.by_key]
        proven = proving.push_and_prove(
            lambda: remote.upload(item.key, self.folder / item.key),
            remote,
            [*known, item],
            self.folder,
            earlier.by_key,
        )
        assert proven.sent == 1
        self.ledger.put_receipt(spec, proven.receipt)
        return proven.receipt

    def record_run(self, spec, receipt):
        (before,) = self.ledger.records(self.pipeline, BEFORE)
        record = replace(before, **spec.to_dict())
        assert self.ledger.commit(record, {"dvc.lock": "stages: {}\n"}, receipt)
        ledger_facts.note_stages(self.ledger, spec, "attempt-1", (), environment="e" * 64, dag_run="manual")
        ledger_facts.note_stored(self.ledger, spec)
        assert ledger_facts.count(self.ledger, spec, "manual", "backfill")
        ledger_facts.mirror(self.ledger, spec, Mirrored("r" * 32, "1", "1"))

    def check_drift(self, spec):
        features = [{"name": name, "kind": "target", "value": 0.3, "limit": 0.2} for name in ("speed", "duration")]
        report = {"schema_version": 1, "partition": self.day, "features": features}
        report["rows"] = {"current": 330, "reference": 1320}
        (self.folder / "drift.json").write_text(json.dumps(report))
        (self.folder / "metrics.json").write_text(json.dumps({"model": {"mae": 4.0}}))
        judged = judge_day(POLICIES, self.ledger, spec, self.folder)
        assert len(judged.days) == 121
        promotions.partitions(self.ledger, self.pipeline, judged.days[0].partition, self.day)

    def promote(self, spec):
        noted = NotedPromotion(self.day, spec.run_key, "1", None, "better")
        assert promotions.note(self.ledger, self.pipeline, noted)

    def requests(self):
        """The requests of each task, by kind."""
        found = {}
        with counted(self.ledger.client, found, "resolve_run"):
            spec = self.resolve_run()
        with counted(self.ledger.client, found, "reproduce"):
            self.reproduce(spec)
        with counted(self.ledger.client, found, "push"):
            receipt = self.push(spec)
        with counted(self.ledger.client, found, "record_run"):
            self.record_run(spec, receipt)
        with counted(self.ledger.client, found, "check_drift"):
            self.check_drift(spec)
        with counted(self.ledger.client, found, "promote"):
            self.promote(spec)
        return found


def land(client, pipeline, day):
    bucket, prefix = s3.split(raw_of(pipeline))
    for file in ("trips.parquet", "_SUCCESS"):
        client.put_object(Bucket=bucket, Key=f"{prefix}/dt={day}/{file}", Body=b"rows")


BEFORE = "2018-01-20"  # whose record is taken for the next one: one listing and one GET more


@contextmanager
def counted(client, found, task):
    requests = Counter()

    def note(request, **_):
        requests[operation(request.method, request.url)] += 1

    client.meta.events.register("before-send.s3", note)
    yield
    client.meta.events.unregister("before-send.s3", note)
    found[task] = dict(requests)


@pytest.mark.parametrize(
    "newest",
    [
        pytest.param(True, id="the day after the newest"),
        pytest.param(False, id="an older day, in a backfill", marks=pytest.mark.slow),
    ],
)
def test_a_day_costs_the_same_requests_after_four_times_as_many_days(client, tmp_path, newest):
    asked = {}
    for pipeline, days in MANY.items():
        day = date(2018, 1, 1) + timedelta(days=days) if newest else OLDER
        land(client, pipeline, day)
        asked[pipeline] = DayOfTasks(Ledger(client, LEDGER_URL), pipeline, day.isoformat(), tmp_path).requests()
    few, many = asked.values()
    assert few == many
    assert few["check_drift"] == {"PUT": 1, "LIST": 6, "GET": 120}
    assert few["push"]["HEAD"] == FILES + 3 + 2  # each object once, the new one again when it was sent
