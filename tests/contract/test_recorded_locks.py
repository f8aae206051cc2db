"""A run with several dvc.yaml files: every dvc.lock of it is recorded, restored to its place, compared and put back."""

from __future__ import annotations

import pytest
from drawing_team import DrawingTeam
from fetching_team import DAY, NEXT, Station
from foreign_pipeline import PIPELINE

from retrain.errors import StoreError
from retrain.store import s3
from retrain.store.ledger import ATTEMPT
from retrain.work.dvc.program import Dvc

pytestmark = pytest.mark.slow

# The top one needs a stage of `prep`, which needs one of `prep/deep`. `report` is not reached.
RELEASE = {
    "dvc.yaml": """
stages:
  fit:
    cmd: cat prep/clean.txt > model.txt
    deps: [prep/clean.txt]
    outs: [model.txt]
artifacts:
  model: {path: model.txt, type: model}
""",
    "prep/dvc.yaml": """
stages:
  clean:
    cmd: cat deep/drawn.txt ../run.yaml > clean.txt
    deps: [deep/drawn.txt, ../run.yaml]
    outs: [clean.txt]
""",
    "prep/deep/dvc.yaml": """
stages:
  draw:
    cmd: python ../../get.py $STATION/a drawn.txt
    deps: [../../get.py, ../../run.yaml]
    outs: [drawn.txt]
""",
    "report/dvc.yaml": "stages: {tell: {cmd: cat ../model.txt > it.txt, deps: [../model.txt], outs: [it.txt]}}\n",
}
OTHERS = ("prep/dvc.yaml", "prep/deep/dvc.yaml")
LOCKS = ("dvc.lock", "prep/deep/dvc.lock", "prep/dvc.lock")


@pytest.fixture
def recorded(mlflow_server, environments, deployment_dvc, tmp_path, monkeypatch, request):  # noqa: ARG001 - the servers have to be up
    """A team with a recorded day, and the checkout that it was recorded from."""
    with Station.open() as station:
        team = DrawingTeam.deployed(
            tmp_path, request.node.name, station, environments, monkeypatch, RELEASE, static="[]"
        )
        _, checkout = team.record()
        yield team, checkout


def test_every_lock_is_recorded_and_restored_and_dvc_finds_nothing_changed(recorded, deployment_dvc, tmp_path):
    team, checkout = recorded
    assert team.answer("restore", DAY, str(tmp_path / "day"), "--no-environment").well
    for name in (*LOCKS, "model.txt", "prep/clean.txt", "prep/deep/drawn.txt", "run.yaml"):
        assert (tmp_path / "day" / name).read_bytes() == (checkout / name).read_bytes(), name
    own, to = deployment_dvc, tmp_path / "day"
    done = Dvc.of(to, own, own, to / ".dvc" / "cache", {})._run("status", "dvc.yaml", *OTHERS, timeout=120)
    assert done.lines == ["Data and pipelines are up to date."]
    again, _ = team.record()
    assert again.not_repeatable == ()


def test_a_lock_that_is_gone_is_named_and_an_entry_that_never_had_them_has_the_top_one(recorded, tmp_path):
    team, checkout = recorded
    ledger, spec = team.services.ledger, team.entry().spec
    bucket, prefix = s3.split(ledger.folder(spec))
    ledger.client.delete_object(Bucket=bucket, Key=f"{prefix}/locks/prep/dvc.lock")
    with pytest.raises(StoreError, match=r"locks/prep/dvc\.lock is gone, though its run is recorded"):
        team.answer("restore", DAY, str(tmp_path / "day"), "--no-environment")
    assert not (tmp_path / "day").exists()
    for name in ("locks/prep/deep/dvc.lock", ATTEMPT):  # as the deployment before wrote it
        ledger.client.delete_object(Bucket=bucket, Key=f"{prefix}/{name}")
    assert team.answer("restore", DAY, str(tmp_path / "day"), "--no-environment").well
    assert (tmp_path / "day" / "dvc.lock").read_bytes() == (checkout / "dvc.lock").read_bytes()
    assert (tmp_path / "day" / "prep/clean.txt").read_bytes() == (checkout / "prep/clean.txt").read_bytes()


def test_a_stage_of_another_file_that_is_not_repeatable_has_its_lock_put_back(recorded, tmp_path):
    team, checkout = recorded
    before = {name: (checkout / name).read_bytes() for name in (*LOCKS, "model.txt", "prep/deep/drawn.txt")}
    team.lose_the_caches()
    again, checkout = team.record()
    assert again.not_repeatable == ("prep/deep/dvc.yaml:draw",)
    assert {name: (checkout / name).read_bytes() for name in before} == before
    for name in LOCKS:
        kept = f"run/{name}" if name == "dvc.lock" else f"run/locks/{name}"
        assert team.artifact(again.run_id, kept, tmp_path / "artifacts") == before[name].decode()
    done = team.answer("replay", DAY)
    assert [(each["name"], each["verdict"]) for each in done.document["stages"]] == [
        ("fit", "consequence"),
        ("prep/deep/dvc.yaml:draw", "not_repeatable"),
        ("prep/dvc.yaml:clean", "consequence"),
    ]
    assert team.answer("verify", DAY).well


def test_two_days_are_told_apart_by_what_the_stages_of_each_file_read(recorded):
    team, _ = recorded
    team.record(NEXT)
    found = team.answer("explain", DAY, NEXT).document
    assert [change["name"] for change in found["stages"]] == [
        "fit deps prep/clean.txt",
        "prep/deep/dvc.yaml:draw deps ../../run.yaml",
        "prep/dvc.yaml:clean deps ../run.yaml",
        "prep/dvc.yaml:clean deps deep/drawn.txt",
    ]
    assert team.services.ledger.entry(PIPELINE, NEXT).outputs.keys() == {
        "model.txt",
        "prep/clean.txt",
        "prep/deep/drawn.txt",
    }


BELOW = {
    "dvc.yaml": None,
    "ml/dvc.yaml": "stages: {fit: {cmd: cat ../prep/clean.txt > model.txt, deps: [../prep/clean.txt], outs: [model.txt]}}\n",
    "prep/dvc.yaml": "stages: {clean: {cmd: cat ../ml/run.yaml > clean.txt, deps: [../ml/run.yaml], outs: [clean.txt]}}\n",
}


@pytest.mark.usefixtures("mlflow_server")
def test_a_project_in_a_folder_of_the_repository_comes_back_and_is_computed_again_where_it_was(
    environments, deployment_dvc, tmp_path, monkeypatch, request
):
    with Station.open() as station:
        team = DrawingTeam.deployed(
            tmp_path, request.node.name, station, environments, monkeypatch, BELOW, static="[]", below="ml"
        )
        recorded, checkout = team.record()
    assert sorted(team.entry().outputs) == ["ml/model.txt", "prep/clean.txt"]
    # Today's file names another folder: the recorded one counts.
    file = team.folder / "pipelines" / f"{PIPELINE}.yaml"
    file.write_text(file.read_text().replace("folder: ml", "folder: ."))
    to = tmp_path / "day"
    assert team.answer("restore", DAY, str(to), "--no-environment").well
    for name in ("ml/dvc.lock", "ml/model.txt", "ml/run.yaml", "ml/manifest.json", "prep/dvc.lock", "prep/clean.txt"):
        assert (to / name).read_bytes() == (checkout / name).read_bytes(), name
    own = deployment_dvc
    done = Dvc.of(to, own, own, to / ".dvc" / "cache", {})._run("status", "ml/dvc.yaml", "prep/dvc.yaml", timeout=120)
    assert done.lines == ["Data and pipelines are up to date."]
    assert team.answer("replay", DAY).document["same"] is True
    assert team.artifact(recorded.run_id, "run/locks/ml/dvc.lock", tmp_path) == (to / "ml/dvc.lock").read_text()
    assert team.artifact(recorded.run_id, "run/run.yaml", tmp_path) == (to / "ml/run.yaml").read_text()
