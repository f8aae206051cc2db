"""A recorded day whose stage gives other bytes when it runs again: the first record stands, in the ledger, in MLflow and for every later task."""

from __future__ import annotations

import json

import pytest
from drawing_team import DVC_YAML, FIT, DrawingTeam, files_of
from fetching_team import DAY, Station
from foreign_pipeline import PIPELINE
from test_recorded_days import LATER

from retrain.archive import prune
from retrain.errors import LedgerConflictError, RecordError, TrackingError
from retrain.results import Reproduced
from retrain.store import ledger_facts, s3
from retrain.store.errors import RecordedOutputsGoneError
from retrain.store.ledger import ATTEMPT, DESCRIPTION, RECORD, Ledger
from retrain.tasks.record_run import record_run

pytestmark = pytest.mark.slow


@pytest.fixture
def station():
    with Station.open() as open_station:
        yield open_station


@pytest.fixture
def start(mlflow_server, environments, deployment_dvc, station, tmp_path, monkeypatch, request):  # noqa: ARG001 - the servers have to be up
    def deploy(files=None):
        return DrawingTeam.deployed(tmp_path, request.node.name, station, environments, monkeypatch, files)

    return deploy


def kept(team):
    """Every document of the day's entries, but for the receipts of later pushes."""
    ledger = team.services.ledger
    folder = f"{ledger.url}/{PIPELINE}/dt={DAY}"
    return {
        name: s3.get(ledger.client, f"{folder}/{name}")
        for name in s3.list_objects(ledger.client, folder)
        if "/receipts/" not in name
    }


def test_a_cleared_day_keeps_its_first_record_and_says_so_once_as_a_replay_does(start, caplog):
    caplog.set_level("INFO", logger="retrain")
    team = start()
    first, before = team.record()
    recorded, entry = files_of(before), kept(team)
    assert (first.new, first.not_repeatable, first.note, first.metrics["model.mae"]) == (True, (), "", 1.0)

    second, checkout = team.record()
    assert second.new is False
    assert second.not_repeatable == ("draw",)  # not `fit`, which only follows it, nor `count`, which is the same
    assert second.note == (
        f"Stage draw gave other bytes than at the first time, from the same inputs. The record of {team.entry().recorded_at} "
        "stands, and everything after it uses the recorded outputs."
    )
    assert second.note in caplog.text
    assert (second.run_id, second.model_version, second.metrics) == (first.run_id, first.model_version, first.metrics)
    assert files_of(checkout) == recorded
    assert kept(team) == entry
    assert ledger_facts.unrepeatable(team.services.ledger, team.entry().spec) == {"draw"}
    # Not stored: the metrics come from the record, and a plot of the second attempt is never taken for the first one's.
    assert json.loads((checkout / "reports/metrics.json").read_text()) == {"model": {"mae": 1.0}, "rows": 3.0}
    assert not (checkout / "curve.csv").exists()

    third, checkout = team.record()
    assert third.not_repeatable == ("draw",)
    assert third.note.startswith("Stage draw gave other bytes again, as noted before, from the same inputs.")
    assert (files_of(checkout), kept(team)) == (recorded, entry)
    assert len(team.station.asked) == 3
    # What the later attempts have pushed is no entry's: a listing, a file in it and a model each.
    services = team.services
    needed = set(services.ledger.committed_receipt(team.entry()).by_key)
    chosen = prune.plan(services.ledger, services.remote, PIPELINE, 30, now=LATER)
    stored = {f"files/{key}" for key in s3.list_objects(services.remote.client, f"{services.remote.url}/files")}
    assert (set(chosen.remove), chosen.losing, len(chosen.remove)) == (stored - needed, (), 6)

    done = team.answer("replay", DAY)
    assert (done.well, done.document["same"]) == (True, False)
    assert [(each["name"], each["verdict"], each["reason"]) for each in done.document["stages"]] == [
        ("count", "identical", ""),
        ("draw", "not_repeatable", "it is always_changed"),
        ("fit", "consequence", "it needs the outputs of draw"),
    ]
    assert "Stage draw is not repeatable: it is always_changed." in done.lines
    json.dumps(done.document)


def test_an_attempt_that_reached_the_ledger_and_not_mlflow_is_the_one_that_mlflow_gets(start, monkeypatch, tmp_path):
    """Whichever try gets there: the workspace of a later attempt has the recorded outputs by then, which its push does not prove."""
    team = start()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    recorded = {}
    for _ in range(2):
        run, reproduced, pushed = team.attempt()
        recorded = recorded or files_of(team.checkout(reproduced))
        with monkeypatch.context() as patch:
            patch.setenv(
                "AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "http", "host": "127.0.0.1", "port": 9})
            )
            with pytest.raises(TrackingError):
                record_run(team.services, run, reproduced, pushed)
        assert files_of(team.checkout(reproduced)) == recorded
    again = record_run(team.services, run, reproduced, pushed)
    assert again.note.startswith("Stage draw gave other bytes than at the first time")
    assert (again.not_repeatable, again.metrics) == (("draw",), {"model.mae": 1.0, "rows": 3.0})
    tracked = team.tracked(again.run_id)
    assert (tracked.data.metrics["model.mae"], tracked.info.status) == (1.0, "FINISHED")
    assert team.artifact(again.run_id, "model/model.txt", tmp_path) == "model of a1"
    assert team.artifact(again.run_id, "run/dvc.lock", tmp_path) == recorded["dvc.lock"].decode()
    assert "curve.csv" not in [each.path for each in team.services.tracking._client().list_artifacts(again.run_id)]
    # Clearing push proves the recorded outputs, out of the pipeline's cache.
    proven = team.services.ledger.receipt(run.spec, team.push(run, reproduced).receipt)
    assert set(proven.by_key) == set(team.services.ledger.committed_receipt(team.entry()).by_key)


def test_an_attempt_that_was_killed_in_the_middle_of_its_entry_is_the_one_that_the_entry_gets(start, monkeypatch):
    team = start()

    class Killed(BaseException):
        """No task goes on after this."""

    def stop(*_):
        raise Killed

    run, reproduced, pushed = team.attempt()
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_write", stop)
        with pytest.raises(Killed):
            record_run(team.services, run, reproduced, pushed)
    assert [name.rpartition("/")[2] for name in kept(team)] == [ATTEMPT, "manifest.json"]
    recorded = files_of(team.checkout(reproduced))
    second, checkout = team.record()
    assert (second.not_repeatable, second.metrics["model.mae"]) == (("draw",), 1.0)
    assert files_of(checkout) == recorded
    assert team.entry().dag_run == run.dag_run
    assert {name.rpartition("/")[2] for name in kept(team)} >= {"dvc.lock", "receipt.json", RECORD}


def test_recorded_outputs_that_prune_has_removed_leave_the_day_red_and_the_entry_as_it_is(start):
    team = start()
    team.record()
    services, entry = team.services, kept(team)
    ledger_facts.note_removed(services.ledger, team.entry(), 30)
    for key in services.ledger.committed_receipt(team.entry()).by_key:
        bucket, _, prefix = services.remote.url.removeprefix("s3://").partition("/")
        services.remote.client.delete_object(Bucket=bucket, Key=f"{prefix}/{key}")
    said = rf"{DAY} is recorded .*make prune has removed objects of it\. Now draw gave other bytes\. The entry stands"
    with pytest.raises(RecordedOutputsGoneError, match=said):
        team.record()
    assert kept(team) == entry
    assert ledger_facts.is_pruned(services.ledger, team.entry().spec)


def test_another_environment_another_input_or_a_changed_document_is_a_conflict_and_nothing_is_put_in_place(start):
    team = start()
    team.record()
    run, reproduced, pushed = team.attempt()
    other = Reproduced(**{**vars(reproduced), "environment": "f" * 64})
    with pytest.raises(LedgerConflictError, match=rf"{team.entry().environment}.*{'f' * 64}.*resolved anew") as caught:
        record_run(team.services, run, other, pushed)
    assert type(caught.value) is LedgerConflictError
    ledger, made = team.services.ledger, files_of(team.checkout(reproduced))
    for document, said in (
        (DESCRIPTION, "other outputs than the record beside it"),
        ("dvc.lock", r"No dvc\.lock .* has drawn"),
    ):
        bucket, key = s3.split(f"{ledger.folder(run.spec)}/{document}")
        text = ledger.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        changed = text.replace(team.entry().outputs["drawn"].encode(), b"0" * 32 + b".dir")
        ledger.client.put_object(Bucket=bucket, Key=key, Body=changed)
        with pytest.raises(RecordError, match=said):
            record_run(team.services, run, reproduced, pushed)
        ledger.client.put_object(Bucket=bucket, Key=key, Body=text)
    lock = team.checkout(reproduced) / "dvc.lock"
    text = lock.read_text()
    lock.write_text(text.replace("draw:\n    cmd: mkdir", "draw:\n    cmd: true; mkdir"))
    with pytest.raises(LedgerConflictError, match="cmd of stage draw was another then"):
        record_run(team.services, run, reproduced, pushed)
    lock.write_text(text)
    assert ledger_facts.unrepeatable(ledger, run.spec) == frozenset()
    assert files_of(team.checkout(reproduced)) == made
    assert record_run(team.services, run, reproduced, pushed).not_repeatable == ("draw",)


UNSTORED_MODEL = DVC_YAML.replace("outs: [model.txt]", "outs: [model.txt: {cache: false}]")


def test_a_model_that_dvc_does_not_store_is_registered_once_and_not_promoted_when_it_is_another(start):
    team = start({"dvc.yaml": UNSTORED_MODEL})
    first, _ = team.record()
    second, checkout = team.record()
    assert (first.model_version, second.model_version) == ("1", None)
    assert second.note.endswith("Its model is not stored (cache: false or push: false), so it is not promoted.")
    assert not (checkout / "model.txt").exists()
    where = ledger_facts.mirrored(team.services.ledger, team.entry())
    assert (where.run_id, where.model_version) == (first.run_id, "1")


def test_a_replay_believes_the_ledger_and_fails_for_a_stage_of_which_nothing_is_known(start):
    """DVC would expect this stage to give the same again."""
    team = start({"dvc.yaml": DVC_YAML.replace("    always_changed: true\n", ""), "fit.py": FIT})
    team.record()
    done = team.answer("replay", DAY)
    assert (done.well, done.document["stages"][1]["verdict"]) == (False, "different")
    assert "Stage draw has OTHER outputs: nothing that it needs from other stages differs." in done.lines
    team.lose_the_caches()
    team.record()
    done = team.answer("replay", DAY)
    assert (done.well, done.document["stages"][1]["verdict"]) == (True, "not_repeatable")
    assert done.document["stages"][1]["reason"] == "an earlier attempt of the day gave other bytes"
