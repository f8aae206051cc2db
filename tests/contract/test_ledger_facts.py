"""What the ledger notes besides its records, on real S3 servers: each fact once, in order, whatever comes later."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from test_ledger_entries import FILES, RECEIPT, RECORDED, SPEC, recorded

from retrain.archive.history import runs
from retrain.commands import pin_moves
from retrain.errors import MovedTagError, PinConflictError, RecordError
from retrain.run.release import Pin, Release
from retrain.run.run_record import Mirrored
from retrain.run.stage_run import StageOutcome, StageRun
from retrain.store import ledger_facts, promotions
from retrain.store import s3 as store
from retrain.store.ledger import Ledger
from retrain.store.promotions import NotedPromotion

A, B = "a" * 40, "b" * 40
DAY = SPEC.partition


@pytest.fixture
def s3(either_s3):
    """The fixtures of this file speak to both servers."""
    return either_s3


@pytest.fixture
def ledger(s3, bucket):
    return Ledger(s3, f"s3://{bucket()}/ledger")


def record(ledger, release, at):
    """A run of the day with a release, recorded, and counted as `record_run` does."""
    spec = replace(SPEC, release=release)
    ledger.commit(replace(recorded(spec), recorded_at=f"2020-03-06T{at}:00+00:00"), FILES, RECEIPT)
    ledger_facts.count(ledger, spec, f"run of {release}", "daily")
    return spec.run_key


def test_the_run_that_was_recorded_last_counts(ledger):
    record(ledger, "v1.0.0", "06:00")
    last = record(ledger, "v1.1.0", "07:00")
    assert ledger.entry("taxi", DAY).run_key == last


def test_a_day_that_is_run_again_with_the_release_before_counts_with_it_again(ledger):
    good = record(ledger, "v1.0.0", "06:00")
    bad = record(ledger, "v1.1.0", "07:00")
    record(ledger, "v1.0.0", "06:00")
    assert ledger.entry("taxi", DAY).run_key == good
    assert ledger.newest("taxi").run_key == good
    shown = runs(ledger.records("taxi"), ledger.counts("taxi"))
    assert {run.record.run_key: run.status for run in shown} == {good: "live", bad: "superseded"}


def test_a_run_that_counts_already_is_not_counted_again(ledger):
    record(ledger, "v1.0.0", "06:00")
    before = ledger.event_names("taxi", "counts")
    record(ledger, "v1.0.0", "06:00")
    assert ledger.event_names("taxi", "counts") == before


def test_of_two_runs_of_a_day_that_are_recorded_at_once_the_same_one_counts_for_everybody(ledger):
    start = Barrier(2)
    for release in ("v1.0.0", "v1.1.0"):
        ledger.commit(recorded(replace(SPEC, release=release)), FILES, RECEIPT)

    def count(release):
        start.wait(30)
        ledger_facts.count(ledger, replace(SPEC, release=release), release, "daily")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count, ("v1.0.0", "v1.1.0")))
    live = [run for run in runs(ledger.records("taxi"), ledger.counts("taxi")) if run.status == "live"]
    assert [run.record.run_key for run in live] == [ledger.entry("taxi", DAY).run_key]


def test_where_mlflow_has_a_run_is_the_newest_fact_of_it_and_where_it_had_it_first_is_kept(ledger):
    ledger.commit(RECORDED, FILES, RECEIPT)
    assert ledger_facts.mirrored(ledger, RECORDED) is None
    for where in (Mirrored("r1", "1", "3"), Mirrored("r1", "1", "3"), Mirrored("r2", "1", "1")):
        ledger_facts.mirror(ledger, SPEC, where)
    assert ledger_facts.mirrored(ledger, RECORDED) == Mirrored("r2", "1", "1")
    assert ledger_facts.mirrored(ledger, RECORDED, first=True) == Mirrored("r1", "1", "3")
    assert len(ledger.event_names("taxi", "mirrored")) == 2


def test_what_an_attempts_stages_took_is_noted_once(ledger):
    stages = (StageRun("train", StageOutcome.RAN, 12.5, 300 << 20), StageRun("drift", StageOutcome.CACHED, 0.1, 0))
    for _ in range(2):
        ledger_facts.note_stages(ledger, SPEC, "attempt-1", stages, environment="e" * 64, dag_run="daily")
    (name,) = ledger.event_names("taxi", "stages")
    body = ledger.event_body("taxi", "stages", name)
    assert name == f"dt={DAY}/{SPEC.run_key}/attempt-1"
    assert [(s["name"], s["outcome"], s["seconds"], s["peak_memory"]) for s in body["stages"]] == [
        ("train", "ran", 12.5, 300 << 20),
        ("drift", "cached", 0.1, 0),
    ]


def test_a_tag_has_its_first_commit_for_good(ledger):
    ledger_facts.fix_tag(ledger, "taxi", Release("v1.2.0", A))
    ledger_facts.fix_tag(ledger, "taxi", Release("v1.2.0", A))
    with pytest.raises(MovedTagError, match=rf"v1\.2\.0 has moved: {A}.*now {B}"):
        ledger_facts.fix_tag(ledger, "taxi", Release("v1.2.0", B))


def test_the_tags_of_runs_and_pins_from_before_are_fixed_with_the_first_fact(ledger):
    ledger.commit(recorded(replace(SPEC, commit=A)), FILES, RECEIPT)
    pin = Pin(Release("v1.2.0", A), (Release("v1.1.0", A),))
    ledger_facts.fix_tag(ledger, "taxi", Release("v1.3.0", B), pin)
    for tag in ("v1.0.0", "v1.1.0", "v1.2.0"):
        with pytest.raises(MovedTagError, match=tag):
            ledger_facts.fix_tag(ledger, "taxi", Release(tag, B))


def test_tags_from_before_are_fixed_although_the_first_time_was_interrupted(ledger):
    ledger.commit(recorded(replace(SPEC, commit=A)), FILES, RECEIPT)
    ledger.event("taxi", "tags", "v1.3.0", {"commit": B})  # and no more
    ledger_facts.fix_tag(ledger, "taxi", Release("v1.3.0", B))
    with pytest.raises(MovedTagError, match=r"v1\.0\.0"):
        ledger_facts.fix_tag(ledger, "taxi", Release("v1.0.0", B))


class Store:
    """The pin of one pipeline, in memory."""

    def __init__(self):
        self.now = None

    def pin(self, _):
        return self.now

    def set_pin(self, _, pin):
        self.now = pin


@pytest.fixture
def origin(tmp_path, monkeypatch):
    from foreign_pipeline import FILES
    from team_origin import Origin, isolated_git

    isolated_git(tmp_path / "engineer", monkeypatch)
    return Origin.create(tmp_path, FILES)


def test_a_tag_that_moves_after_a_rollback_is_refused(ledger, origin):
    pins = Store()
    origin.release("v1.0.0")
    bad = origin.release("v1.1.0", {"fit.py": "raise SystemExit"})
    for tag in ("v1.0.0", "v1.1.0"):
        pin_moves.deploy(pins, ledger, "taxi", origin.address, tag)
    pin_moves.roll_back(pins, ledger, "taxi")
    fixed = origin.release("v1.1.1", {"fit.py": "print('fixed')"})
    origin.git("push", "--force", "origin", f"{fixed}:refs/tags/v1.1.0")
    with pytest.raises(MovedTagError, match=rf"v1\.1\.0 has moved: {bad}.*now {fixed}"):
        pin_moves.deploy(pins, ledger, "taxi", origin.address, "v1.1.0")
    assert pins.now.live.tag == "v1.0.0"


def test_a_rollback_does_not_wait_for_a_ledger_that_does_not_answer(ledger, origin, caplog):
    pins = Store()
    for tag in ("v1.0.0", "v1.1.0"):
        origin.release(tag)
        pin_moves.deploy(pins, ledger, "taxi", origin.address, tag)
    pin_moves.roll_back(pins, Ledger(ledger.client, "s3://no-such-bucket-of-ours/ledger"), "taxi")
    assert pins.now.live.tag == "v1.0.0"
    assert "is not noted in the ledger: S3 answered NoSuchBucket" in caplog.text


def test_every_move_of_the_pin_is_noted_in_order(ledger, origin):
    pins = Store()
    for tag in ("v1.0.0", "v1.1.0"):
        origin.release(tag)
        pin_moves.deploy(pins, ledger, "taxi", origin.address, tag)
    pin_moves.deploy(pins, ledger, "taxi", origin.address, "v1.1.0")  # is live already
    pin_moves.roll_back(pins, ledger, "taxi")
    moves = [ledger.event_body("taxi", "pinned", name) for name in sorted(ledger.event_names("taxi", "pinned"))]
    assert [(move["why"], move["tag"], move["before"]) for move in moves] == [
        ("release", "v1.0.0", None),
        ("release", "v1.1.0", "v1.0.0"),
        ("rollback", "v1.0.0", "v1.1.0"),
    ]


def test_of_two_releases_at_the_same_moment_one_says_that_the_other_was_made(ledger):
    ledger_facts.note_pin(ledger, "taxi", 0, Release("v1.0.0", A), None, "release")
    with pytest.raises(PinConflictError, match=r"v1\.1\.0 was not pinned.*at the same moment"):
        ledger_facts.note_pin(ledger, "taxi", 0, Release("v1.1.0", B), None, "release")


def test_a_run_whose_objects_were_removed_is_known_until_they_are_stored_again(ledger):
    ledger.commit(RECORDED, FILES, RECEIPT)
    ledger_facts.note_stored(ledger, SPEC)
    assert ledger_facts.pruned(ledger, "taxi") == set()
    ledger_facts.note_removed(ledger, RECORDED, keep_days=30)
    assert ledger_facts.pruned(ledger, "taxi") == {SPEC.run_key}
    ledger_facts.note_stored(ledger, SPEC)
    assert ledger_facts.pruned(ledger, "taxi") == set()
    ledger_facts.note_removed(ledger, RECORDED, keep_days=30)
    assert ledger_facts.pruned(ledger, "taxi") == {SPEC.run_key}


def test_a_fact_of_mlflow_that_lacks_a_field_is_named(ledger):
    url = f"{ledger.url}/taxi/mirrored/dt={DAY}/{SPEC.run_key}/0001-mlflow.json"
    store.create(ledger.client, url, b'{"run_id": "r"}')
    with pytest.raises(RecordError, match=r"0001-mlflow .*has no 'experiment_id'"):
        ledger_facts.mirrored(ledger, RECORDED)


def test_the_promotion_of_the_newest_partition_is_the_newest_whenever_it_was_noted(ledger):
    assert promotions.newest(ledger, "taxi") is None
    newer = NotedPromotion("2020-03-06", "b" * 64, "1", None, "mae 5.000 beats the baselines; there was no champion.")
    older = NotedPromotion("2020-03-05", "a" * 64, "2", "1", "mae 4.000 beats the champion's 5.000.")
    assert [promotions.note(ledger, "taxi", each) for each in (newer, older, older)] == [True, True, False]
    assert promotions.newest(ledger, "taxi") == newer
    assert promotions.partitions(ledger, "taxi") == ["2020-03-05", "2020-03-06"]
