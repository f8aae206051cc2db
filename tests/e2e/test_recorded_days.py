"""A recorded day is verified, and restored into an empty folder, by the commands that people type."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from running_stack import DAY_BEFORE, PIPELINE, Killed, Live

pytestmark = pytest.mark.timeout(900)


def answer(live: Live, *arguments: str) -> Any:
    done = live.retrain("--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def recorded(live: Live, killed: Killed) -> dict[str, Any]:
    """DAY_BEFORE's record, as the history lists it."""
    assert live.ended(PIPELINE, killed.run_id)["state"] == "success"
    (entry,) = [line for line in answer(live, "history") if line["partition"] == str(DAY_BEFORE)]
    return dict(entry)


@pytest.fixture(scope="module")
def restored(live: Live, recorded: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That day, restored into an empty folder without this stack's caches."""
    assert recorded
    to = tmp_path_factory.mktemp("restored") / "day"
    elsewhere = {**live.variables, "RETRAIN_HOME": str(tmp_path_factory.mktemp("another-machine"))}
    bare = replace(live, variables=elsewhere)
    done = bare.retrain("restore", str(DAY_BEFORE), str(to))
    assert done.returncode == 0, done.stderr
    return to


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_every_restored_file_has_the_md5_that_was_recorded(
    live: Live, restored: Path, recorded: dict[str, Any]
) -> None:
    lock = yaml.safe_load((restored / "dvc.lock").read_text())
    outs = {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
    assert outs == recorded["outputs"]
    for path, recorded_md5 in outs.items():
        if not recorded_md5.endswith(".dir"):
            assert md5(restored / path) == recorded_md5, path
            continue
        listing = live.stored(
            f"s3://{live.variables['RETRAIN_STORE_BUCKET']}/dvc/files/md5/{recorded_md5[:2]}/{recorded_md5[2:]}"
        )
        members = {entry["relpath"]: entry["md5"] for entry in json.loads(listing)}
        found = {str(f.relative_to(restored / path)): md5(f) for f in (restored / path).rglob("*") if f.is_file()}
        assert found == members, path


def test_dvc_itself_finds_nothing_changed_in_a_restored_day(restored: Path) -> None:
    done = subprocess.run(
        [restored / ".venv" / "bin" / "dvc", "status"], cwd=restored, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "up to date" in done.stdout, done.stdout


def test_the_restored_model_predicts_the_recorded_numbers(
    restored: Path, recorded: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "score.json"
    command = [restored / ".venv" / "bin" / "python", "-m", "pipeline.score", "model", "data/test.parquet", out]
    subprocess.run(command, cwd=restored, check=True, capture_output=True)
    scored = json.loads(out.read_text())
    assert {f"model.{name}": scored[name] for name in ("mae", "rmse", "r2")} == {
        name: recorded["metrics"][name] for name in ("model.mae", "model.rmse", "model.r2")
    }


def test_a_target_that_is_not_empty_is_refused_and_left_alone(live: Live, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    done = live.retrain("restore", str(DAY_BEFORE), str(tmp_path))
    assert (done.returncode, "RestoreTargetError" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_every_recorded_day_is_sound_in_the_bucket(live: Live, recorded: dict[str, Any]) -> None:
    found = answer(live, "verify", str(DAY_BEFORE))
    assert (found["sound"], found["runs"]) == (True, 1)
    assert found["proven"] == recorded["objects"]


@pytest.mark.usefixtures("recorded")
def test_an_unknown_day_says_what_to_look_at(live: Live) -> None:
    done = live.retrain("verify", "2018-01-01")
    assert (done.returncode, "UnknownEntryError" in done.stderr, "make history" in done.stderr) == (1, True, True)
