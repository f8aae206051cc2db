"""The housekeeping of caches that real runs filled, with a ledger on a real S3 server: everything that it removes comes back."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from adding_team import Team
from foreign_pipeline import PIPELINE

from retrain.airflow.adapters import services
from retrain.deployment.housekeeping_file import HousekeepingLimits
from retrain.errors import HousekeepingError
from retrain.housekeeping import dvc_caches, environments, raw_caches, run_caches
from retrain.housekeeping.housekeeping_run import begin
from retrain.run.run_record import RunRecord
from retrain.store.ledger import DESCRIPTION
from retrain.tasks.push import push
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run
from retrain.work import pipeline_caches, workspace
from retrain.work.dvc.description import Description

pytestmark = pytest.mark.slow

LANDED = "2020-03-03"
DAYS = ("2020-03-05", "2020-03-06")  # only the window of the first reaches back to LANDED
LIMITS = HousekeepingLimits(schema_version=1, owner="them", keep_days=1)
CACHES = (dvc_caches, run_caches, raw_caches)
A_WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def recorded(s3, deployment_dvc, tmp_path_factory):
    """A team that has recorded two days, and its RETRAIN_HOME, in which everything is a week old. Read it only."""
    folder = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        made = Team.start(folder, "housekeeping", s3, deployment_dvc.path.parent, patch)
        for number, day in enumerate((LANDED, "2020-03-04", *DAYS)):
            made.land(day, 10**number)
        for day in DAYS:
            reach, run, done = reproduced(made, day)
            assert record(reach, run, done)
            workspace.remove(PIPELINE, run.dag_run)
        for name in ("cache", "raw"):
            age(folder / "home" / name)
        yield made, folder


@pytest.fixture
def team(recorded, tmp_path, monkeypatch):
    """The team, with a copy of its RETRAIN_HOME."""
    made, folder = recorded
    shutil.copytree(folder / "home", tmp_path / "home", symlinks=True)
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETRAIN_PIPELINES", str(folder / "pipelines"))
    return made


def start(limits=LIMITS, **params):
    return begin(limits, params, Path(os.environ["RETRAIN_PIPELINES"]))


def age(folder, by=A_WEEK):
    """Make all files below a folder older, as if nothing had been written since."""
    then = time.time() - by.total_seconds()
    for below, _, names in os.walk(folder):
        for name in names:
            os.utime(Path(below, name), (then, then))
        os.utime(below, (then, then))


def files(folder):
    """Every file below a folder, with its bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def caches():
    return {**files(pipeline_caches.dvc_cache(PIPELINE)), **files(pipeline_caches.raw_cache(PIPELINE))}


def clean_all(**params):
    return [part.clean(start(**params)) for part in CACHES]


def reproduced(team, day):
    reach = services(team.deployment)
    run = resolve_run(reach, day, "v1.0.0", f"again {day}", "daily")
    return reach, run, reproduce(reach, run)


def record(reach, run, done):
    """Push, and write the entry of the ledger; False if the ledger has it with the same bytes."""
    receipt = reach.ledger.receipt(run.spec, push(reach, run, done).receipt)
    place = workspace.Workspace(Path(done.workspace))
    described = Description.from_json(place.description.read_text(), "the run")
    entry = RunRecord(
        **run.spec.to_dict(),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        dag_run=run.dag_run,
        mode="daily",
        environment=done.environment,
        threads=1,
        raw_versioned=False,
        outputs={output.path: output.md5 for output in described.outputs},
        metrics={},
        objects=len(receipt.proofs),
        size=receipt.size,
    )
    return reach.ledger.commit(entry, {DESCRIPTION: described.to_json()}, receipt)


def test_after_a_cleaning_the_kept_day_is_all_cached_and_an_old_day_gives_the_same_bytes(team):
    cleaned = clean_all()
    assert [result.freed.files > 0 for result in cleaned] == [True, True, True]
    assert not [result for result in cleaned if not result.stays.files]
    assert reproduced(team, DAYS[-1])[2].executed == []
    reach, run, again = reproduced(team, DAYS[0])
    assert again.executed == ["ingest", "add"]
    assert record(reach, run, again) is False  # other bytes under the same run key would be a LedgerConflictError


def test_what_goes_is_exactly_what_a_dry_run_says_and_a_dry_run_removes_nothing(team):  # noqa: ARG001 - its RETRAIN_HOME
    there = caches()
    said = clean_all(dry_run=True)
    assert caches() == there
    done = clean_all()
    assert [result.freed for result in said] == [result.freed for result in done]
    gone = {path: content for path, content in there.items() if path not in caches()}
    assert sum(result.freed.files for result in done) == len(gone) > 0
    assert sum(result.freed.bytes for result in done) == sum(map(len, gone.values()))
    assert [result.freed.files for result in clean_all()] == [0, 0, 0]


def test_the_objects_of_a_workspace_stay_so_that_its_run_can_be_pushed(team):
    reach, run, waiting = reproduced(team, LANDED)
    for name in ("cache", "raw"):
        age(workspace.home() / name)
    clean_all()
    assert push(reach, run, waiting).objects > 0
    assert reproduced(team, LANDED)[2].executed == []


def test_nothing_is_removed_while_a_run_is_reproduced(team):  # noqa: ARG001 - its RETRAIN_HOME
    there = caches()
    with pipeline_caches.in_use(PIPELINE), pipeline_caches.in_use(PIPELINE):
        cleaned = clean_all()
    assert caches() == there
    assert {place.note for result in cleaned for place in result.places} == {dvc_caches.BUSY}


def test_what_was_written_lately_stays_although_no_kept_day_needs_it(team):  # noqa: ARG001 - its RETRAIN_HOME
    for name in ("cache", "raw"):
        age(workspace.home() / name, timedelta(days=1))
    there = caches()
    clean_all()
    assert caches() == there


def test_a_ledger_that_cannot_be_read_whole_keeps_every_object_and_fails_by_name(team):
    there = caches()
    record = services(team.deployment).ledger.entry(PIPELINE, DAYS[-1])
    key = f"ledger/{PIPELINE}/dt={DAYS[-1]}/{record.run_key}"
    for document, part in (("run.json", dvc_caches), ("receipt.json", run_caches), ("manifest.json", raw_caches)):
        kept = team.client.get_object(Bucket=team.bucket, Key=f"{key}/{document}")["Body"].read()
        team.client.put_object(Bucket=team.bucket, Key=f"{key}/{document}", Body=b"{")
        with pytest.raises(
            HousekeepingError, match=rf"1 of 1 pipelines.*{PIPELINE}: The ledger .* cannot be read whole"
        ):
            part.clean(start())
        assert caches() == there
        team.client.put_object(Bucket=team.bucket, Key=f"{key}/{document}", Body=kept)


def test_a_pipeline_without_a_recorded_day_keeps_its_caches(team, tmp_path, monkeypatch):
    text = (Path(os.environ["RETRAIN_PIPELINES"]) / f"{PIPELINE}.yaml").read_text()
    (tmp_path / f"{PIPELINE}.yaml").write_text(text.replace(f"{team.bucket}/ledger", f"{team.bucket}/empty"))
    monkeypatch.setenv("RETRAIN_PIPELINES", str(tmp_path))
    there = caches()
    assert {place.note for result in clean_all() for place in result.places} == {dvc_caches.NOTHING_RECORDED}
    assert caches() == there


def test_the_run_caches_of_a_kept_day_s_environment_stay_also_those_of_its_own_packages_and_variables(team):  # noqa: ARG001 - it has recorded
    in_a_year = replace(start(), now=datetime.now(UTC) + timedelta(days=365))
    (kept,) = (pipeline_caches.dvc_cache(PIPELINE) / "environments").iterdir()
    own, gone = kept.with_name(f"{kept.name}-{'a' * 16}"), kept.with_name("f" * 32)
    for folder in (own, gone):
        folder.mkdir()
    run_caches.clean(in_a_year)
    assert (own.is_dir(), gone.is_dir()) == (True, False)


def test_the_environment_of_a_kept_day_stays_however_long_nobody_used_it(team):
    in_a_year = replace(start(), now=datetime.now(UTC) + timedelta(days=365))
    folder = workspace.home() / "environments"
    shared = folder.readlink()  # those that the tests share
    folder.unlink()
    own = folder / services(team.deployment).ledger.entry(PIPELINE, DAYS[-1]).environment[:32]
    other = own.with_name("0" * 32)
    for path in (own, other):
        (path / "bin").mkdir(parents=True)
        (path / ".complete").touch()
    said = {place.name: place for place in environments.clean(in_a_year).places}["installed"]
    assert (own.is_dir(), other.exists()) == (True, False)
    assert (said.freed.files, said.stays.files) == (1, 1)
    shutil.rmtree(folder)
    folder.symlink_to(shared)
