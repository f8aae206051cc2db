"""A ledger that commit 899b122 wrote is read, verified, restored, replayed, continued, rebuilt from and pruned."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import old_ledger
import pytest
from old_ledger import DATA, PIPELINE
from team_origin import isolated_git

from retrain import results
from retrain.airflow.adapters import services
from retrain.archive import prune
from retrain.commands.command_line import parser
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import OverwrittenError, TaskResultError
from retrain.judge import judged_days
from retrain.run.run_record import counting
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote
from retrain.tasks.check_drift import check_drift
from retrain.tasks.promote import promote
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.tasks.remove_workspace import remove_workspace
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run

pytestmark = pytest.mark.slow

FIRST, SECOND, CORRECTED, THIRD, BACKFILL = old_ledger.runs()
NEXT_DAY = "2020-03-08"
PACKAGES = {"v1.0.0": "2.0.0", "v1.1.0": "2.1.0"}  # the iniconfig that each release ran with


@dataclass(frozen=True)
class Old:
    """The old ledger in place, and everything that continues it."""

    deployment: Deployment
    client: Any

    @property
    def ledger(self):
        return Ledger(self.client, self.deployment.ledger)

    @property
    def remote(self):
        return Remote(self.client, self.deployment.store)

    def command(self, *arguments):
        """What a command answers with --json, and whether all is well: its exit code is 0 then, else 1."""
        options = parser().parse_args(["--pipeline", PIPELINE, *arguments])
        found = options.command(options)
        return json.loads(json.dumps(found.document)), found.well

    def answer(self, *arguments):
        document, well = self.command(*arguments)
        assert well, document
        return document

    def land(self, day, size):
        for name, body in (("part-0.csv", b"." * size), ("_SUCCESS", b"")):
            self.client.put_object(Bucket="team-raw", Key=f"trips/dt={day}/{name}", Body=body)

    def run(self, day, tag, mode="daily"):
        """All tasks of one day; returns the record that is newest then."""
        reach = services(self.deployment)
        run = resolve_run(reach, day, tag, f"{mode} run of {day}", mode)
        reproduced = reproduce(reach, run)
        recorded = record_run(reach, run, reproduced, push(reach, run, reproduced))
        check_drift(reach, run, reproduced, recorded, "https://airflow.example.org/log")
        promote(reach, run, reproduced, recorded)
        remove_workspace(reach, run.dag_run)
        return max(self.ledger.records(PIPELINE, day), key=lambda record: record.recorded_at)

    def counting(self):
        """The run key that counts, by day."""
        found = counting(self.ledger.records(PIPELINE), self.ledger.counts(PIPELINE))
        return {record.partition: record.run_key for record in found}

    def status(self):
        """What `history` says of each run."""
        return {line["run_key"]: (line["status"], line["superseded_by"]) for line in self.answer("history")}

    def champion(self):
        return services(self.deployment).tracking.champion(self.deployment.tracking.model)


@pytest.fixture(scope="module")
def filled(s3):
    """The buckets, as 899b122 left them."""
    old_ledger.fill_buckets(s3)


@pytest.fixture
def old(request, s3, filled, mlflow_server, environments, tmp_path, monkeypatch):  # noqa: ARG001 - MLflow has to be up
    """The old ledger. A test that writes to its buckets uses `filled_again` too."""
    isolated_git(tmp_path / "engineer", monkeypatch)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "environments").symlink_to(environments)
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "home"))
    names = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:80]
    deployment, variables = old_ledger.deploy(tmp_path, names=names)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Old(deployment, s3)


@pytest.fixture
def filled_again(s3, filled):  # noqa: ARG001 - they are full before
    """Fills the buckets again after the test, which changes them."""
    yield
    old_ledger.fill_buckets(s3)


def by_day(*runs):
    return {run.record["partition"]: run.run_key for run in runs}


def test_every_record_is_read_with_what_it_says(old):
    fields = ("partition", "release", "commit", "manifest_digest", "recorded_at", "mode", "outputs", "metrics", "size")
    read = {record.run_key: {name: getattr(record, name) for name in fields} for record in old.ledger.records(PIPELINE)}
    assert read == {run.run_key: {name: run.record[name] for name in fields} for run in old_ledger.runs()}


def test_the_run_that_superseded_another_is_the_one_that_counts(old):
    assert old.counting() == by_day(BACKFILL, CORRECTED, THIRD)
    assert old.ledger.entry(PIPELINE, "2020-03-06").run_key == CORRECTED.run_key


def test_history_shows_which_run_of_each_day_counts(old):
    assert old.status() == {
        FIRST.run_key: ("superseded", BACKFILL.run_key),
        BACKFILL.run_key: ("live", None),
        SECOND.run_key: ("superseded", CORRECTED.run_key),
        CORRECTED.run_key: ("live", None),
        THIRD.run_key: ("live", None),
    }


def test_of_each_judged_day_the_run_that_counts_is_kept(old):
    kept = judged_days.kept_days(old.ledger, PIPELINE)
    assert [(day.partition, day.error.value) for day in kept] == [
        ("2020-03-05", 2.5),
        ("2020-03-06", 4.0),
        ("2020-03-07", 4.5),
    ]


def test_every_object_of_every_run_is_verified(old):
    stored = [file for file in (DATA / "store").rglob("*") if file.is_file()]
    found = old.answer("verify", "--all")
    assert (found["sound"], found["runs"], found["proven"]) == (True, 5, len(stored))


@pytest.mark.usefixtures("filled_again")
def test_an_object_that_was_lost_is_named_by_its_path(old):
    lost = BACKFILL.record["outputs"]["reports/metrics.json"]
    old.client.delete_object(Bucket="team-store", Key=f"dvc/files/md5/{lost[:2]}/{lost[2:]}")
    found, well = old.command("verify", "--all")
    assert not well
    assert [item["path"] for item in found["missing"]] == ["reports/metrics.json"]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(FIRST, id="superseded, from uv.lock"),
        pytest.param(SECOND, id="its raw object is overwritten"),
        pytest.param(CORRECTED, id="from uv.lock"),
        pytest.param(THIRD, id="from requirements.txt"),
        pytest.param(BACKFILL, id="backfill, from requirements.txt"),
    ],
)
def test_a_run_is_restored_byte_for_byte_with_the_packages_that_it_ran_with(old, tmp_path, run):
    to = tmp_path / "restored"
    old.answer("restore", run.record["partition"], str(to), "--run-key", run.run_key[:12])
    files = run.files()
    assert {"train/model/data/weights.json", "data/parts/2020-03/2020-03-05.txt"} & set(files)
    assert {path: hashlib.md5((to / path).read_bytes()).hexdigest() for path in files} == files  # noqa: S324 - DVC's
    for name in ("run.yaml", "manifest.json", "dvc.lock"):
        assert (to / name).read_bytes() == run.document(name)
    program = "import importlib.metadata as m; print(m.version('iniconfig'))"
    activated = (
        f'source {to}/.venv/bin/activate && command -v python && python -c "{program}"'  # as `make restore` says it
    )
    done = subprocess.run(["bash", "-c", activated], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [f"{to}/.venv/bin/python", PACKAGES[run.record["release"]]]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(CORRECTED, id="from uv.lock"),
        pytest.param(THIRD, id="from requirements.txt"),
    ],
)
def test_a_replay_computes_every_output_again(old, run, deployment_dvc, monkeypatch):
    """The release's environment is installed anew; the deployment's DVC has come with the image."""
    monkeypatch.setenv("RETRAIN_ENVIRONMENTS", str(deployment_dvc.path.resolve().parent))
    found = old.answer("replay", run.record["partition"])
    assert found["same"]
    assert {output["path"]: output["recomputed"] for output in found["outputs"]} == run.record["outputs"]


def test_a_replay_of_raw_bytes_that_were_overwritten_is_refused_by_name(old):
    with pytest.raises(OverwrittenError, match=r"s3://team-raw/trips/dt=2020-03-06/part-0\.csv"):
        old.command("replay", "2020-03-06", "--run-key", SECOND.run_key[:12])


@pytest.mark.usefixtures("filled_again")
def test_the_next_day_continues_the_ledger_and_proves_nothing_again_that_an_old_receipt_proves(old, deployment_dvc):  # noqa: ARG001 - built once for all
    old.land(NEXT_DAY, 20)
    record = old.run(NEXT_DAY, "v1.1.0")
    status = old.status()
    assert status | {record.run_key: ("live", None)} == status, "it takes no other run's place"
    assert len(status) == 6
    assert old.answer("verify", "--all")["sound"]
    assert [day.partition for day in judged_days.kept_days(old.ledger, PIPELINE)][-2:] == ["2020-03-07", NEXT_DAY]
    proofs = old.ledger.committed_receipt(record).by_key
    shared = proofs.keys() & THIRD.receipt_keys
    assert shared
    assert {proofs[key].proven_by for key in shared} == {"earlier"}


@pytest.mark.usefixtures("filled_again")
def test_a_superseded_run_counts_again_when_its_day_is_run_with_its_release_again(old, deployment_dvc):  # noqa: ARG001
    before = old.ledger.records(PIPELINE)
    old.run("2020-03-05", "v1.0.0", "backfill")
    assert old.ledger.records(PIPELINE) == before, "its entry is there already, and is not written again"
    assert old.counting() == by_day(FIRST, CORRECTED, THIRD)
    assert (old.status()[FIRST.run_key], old.status()[BACKFILL.run_key]) == (
        ("live", None),
        ("superseded", FIRST.run_key),
    )


@pytest.mark.usefixtures("filled_again")
def test_an_empty_mlflow_is_filled_from_the_ledger(old):
    found = old.answer("rebuild")
    assert [(run["partition"], run["version"], run["recorded_version"]) for run in found["told"]] == [
        ("2020-03-05", "1", "1"),
        ("2020-03-06", "2", "2"),
        ("2020-03-06", "3", "3"),
        ("2020-03-07", "4", "4"),
        ("2020-03-05", "5", "5"),
    ]
    assert {tuple(run["left_out"]) for run in found["told"]} == {("reports/notes.json",)}
    assert old.champion()["run_key"] == CORRECTED.run_key
    assert old.answer("rebuild")["told"] == []


@pytest.mark.usefixtures("filled_again")
def test_a_new_day_competes_with_the_champion_that_the_old_version_promoted(old, deployment_dvc):  # noqa: ARG001
    old.answer("rebuild", "--partition", "2020-03-06")
    old.land(NEXT_DAY, 85)  # an error of 4.25, above the champion's 4.0 and below the baseline's 6.0
    old.run(NEXT_DAY, "v1.1.0")
    assert old.champion()["run_key"] == CORRECTED.run_key
    old.land(NEXT_DAY, 70)
    better = old.run(NEXT_DAY, "v1.1.0")
    assert old.champion()["run_key"] == better.run_key


def test_pruning_keeps_what_a_kept_run_reaches(old):
    later = datetime.now(UTC) + timedelta(days=3)
    kept = SECOND.receipt_keys | CORRECTED.receipt_keys | THIRD.receipt_keys
    plan = prune.plan(old.ledger, old.remote, PIPELINE, 2, later)
    assert set(plan.remove) == (FIRST.receipt_keys | BACKFILL.receipt_keys) - kept
    assert {record.run_key for record in plan.losing} == {FIRST.run_key, BACKFILL.run_key}
    assert prune.plan(old.ledger, old.remote, PIPELINE, 3, later).remove == {}


@pytest.mark.parametrize("kind", results.RESULTS, ids=lambda kind: kind.task)
def test_a_run_that_the_old_version_began_says_which_task_to_clear(kind):
    begun = old_ledger.task_results("2020-03-07")[kind.task]
    with pytest.raises(TaskResultError, match=r"another version began the run\. Clear resolve_run"):
        kind.from_json(begun)
