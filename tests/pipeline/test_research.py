"""A person's DVC in a plain checkout: reproduce, experiment, compare, draw. One scratch repository for all tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.session import get_session
from conftest import CALM, GIT, copy_pipeline, dvc, git, run_in, write_inputs

STAGES = ["ingest", "prepare", "featurize", "train", "evaluate", "drift"]


def read(checkout: Path, name: str) -> Any:
    return json.loads((checkout / "reports" / name).read_text())


def test_reproducing_changes_no_file_that_git_tracks(checkout: Path) -> None:
    assert git(checkout, "status", "--porcelain") == ""


def test_everything_is_up_to_date_afterwards(checkout: Path) -> None:
    assert "up to date" in dvc(checkout, "status").stdout


def test_stages_sections_of_params_and_modules_have_the_same_names(checkout: Path) -> None:
    stages = yaml.safe_load((checkout / "dvc.yaml").read_text())["stages"]
    assert list(stages) == STAGES == list(yaml.safe_load((checkout / "params.yaml").read_text()))
    for name, stage in stages.items():
        assert stage["cmd"] == f"python -m pipeline.{name}"
        assert f"pipeline/{name}.py" in stage["deps"]


def test_each_module_that_a_stage_imports_is_among_its_deps(checkout: Path) -> None:
    stages = yaml.safe_load((checkout / "dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        code = (
            f"import sys, pipeline.{name}\n"
            "print(*(m.replace('.', '/') + '.py' for m in sys.modules if m.startswith('pipeline.')))"
        )
        imported = set(run_in(checkout, "python", "-c", code).stdout.split())
        assert imported
        assert imported == {dep for dep in stage["deps"] if dep.startswith("pipeline/")}, name


def test_metrics_have_the_agreed_shape(checkout: Path) -> None:
    metrics = read(checkout, "metrics.json")
    assert set(metrics) == {"rows", "model", "pair_median", "global_median", "importance"}
    for who in ("model", "pair_median", "global_median"):
        interval = {"mae_low", "mae_high"} if who == "model" else set()
        assert set(metrics[who]) == {"mae", "rmse", "rmsle", "r2", "bias"} | interval
    assert metrics["model"]["mae_low"] < metrics["model"]["mae"] < metrics["model"]["mae_high"]
    assert metrics["model"]["mae"] < metrics["pair_median"]["mae"] < metrics["global_median"]["mae"]
    quality = read(checkout, "quality.json")
    assert quality["rows_read"] - sum(quality["quarantined"].values()) == quality["rows_clean"] == metrics["rows"]
    assert quality["window"]["rows_read"] > 100_000
    drift = read(checkout, "drift.json")
    assert (drift["schema_version"], drift["partition"], drift["rows"]["current"]) == (1, "2020-03-05", metrics["rows"])
    assert {"name", "kind", "measure", "value", "limit", "drifted", "bins"} <= set(drift["features"][0])
    assert sum(drift["rows"]["by_day"].values()) == drift["rows"]["reference"]
    told = [feature["importance"] for feature in drift["features"] if feature["kind"] == "input"]
    assert sorted(told) == sorted(metrics["importance"].values())


def test_a_second_checkout_gets_every_stage_from_the_run_cache(checkout: Path, tmp_path: Path) -> None:
    copy_pipeline(tmp_path)
    git(tmp_path, "init", "--quiet")
    write_inputs(tmp_path, CALM)
    dvc(tmp_path, "cache", "dir", "--local", str(checkout / ".dvc" / "cache"))
    said = dvc(tmp_path, "repro").stdout
    assert [f"Stage '{name}' is cached - skipping run" in said for name in STAGES] == [True] * len(STAGES)
    assert (tmp_path / "dvc.lock").read_bytes() == (checkout / "dvc.lock").read_bytes()


@pytest.mark.slow
def test_reproduced_again_from_nothing_every_output_is_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    copy_pipeline(tmp_path)
    git(tmp_path, "init", "--quiet")
    write_inputs(tmp_path, CALM)
    done = run_in(tmp_path, "dvc", "repro", PYTHONHASHSEED="3", OMP_NUM_THREADS="2", **GIT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "dvc.lock").read_bytes() == (checkout / "dvc.lock").read_bytes()


@pytest.mark.slow
def test_an_experiment_changes_a_parameter_and_is_compared(checkout: Path) -> None:
    before = hashlib.md5((checkout / "dvc.lock").read_bytes(), usedforsecurity=False).hexdigest()
    dvc(checkout, "exp", "run", "--set-param", "train.iterations=10", "--name", "few")
    difference = json.loads(dvc(checkout, "metrics", "diff", "--json").stdout)
    assert difference["reports/metrics.json"]["model.mae"]["diff"] > 0
    assert json.loads(dvc(checkout, "params", "diff", "--json").stdout)["params.yaml"]["train.iterations"]["new"] == 10
    shown = dvc(checkout, "exp", "show", "--csv").stdout
    assert "few" in shown
    assert "model.mae" in shown
    git(checkout, "checkout", "--quiet", "--", ".")
    dvc(checkout, "checkout", "--quiet")
    assert "up to date" in dvc(checkout, "status").stdout
    assert hashlib.md5((checkout / "dvc.lock").read_bytes(), usedforsecurity=False).hexdigest() == before


def test_the_graph_shows_every_stage(checkout: Path) -> None:
    graph = dvc(checkout, "dag", "--dot").stdout
    assert all(f'"{name}"' in graph for name in STAGES)


def test_plots_are_drawn_with_labelled_axes(checkout: Path) -> None:
    dvc(checkout, "plots", "show")
    page = (checkout / "dvc_plots" / "index.html").read_text()
    for label in ("actual duration (minutes)", "predicted duration (minutes)", "hour of pickup (local time)"):
        assert label in page
    assert "drift.png" in page


def test_the_model_is_declared_as_an_artifact(checkout: Path) -> None:
    declared = yaml.safe_load((checkout / "dvc.yaml").read_text())["artifacts"]["trip-duration"]
    assert (declared["path"], declared["type"]) == ("model", "model")
    assert (checkout / declared["path"] / "MLmodel").is_file()


def test_both_remotes_are_configured_without_secrets(checkout: Path) -> None:
    listed = dvc(checkout, "remote", "list").stdout
    assert ["s3remote", "s3://retrain-store/dvc", "(default)"] in [line.split() for line in listed.splitlines()]
    assert "dagshub" in listed
    assert "true" not in dvc(checkout, "config", "core.analytics").stdout
    config = (checkout / ".dvc" / "config").read_text()
    assert not any(word in config for word in ("access_key_id =", "secret_access_key =", "password"))


def test_outputs_are_pushed_to_the_default_remote_and_pulled_from_it(checkout: Path, s3: str, tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**GIT, **keys, "AWS_ENDPOINT_URL": s3}
    client = get_session().create_client(
        "s3", endpoint_url=s3, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket="retrain-store")
    pushed = run_in(checkout, "dvc", "push", "model", "reports/metrics.json", **environment)
    assert pushed.returncode == 0, pushed.stderr
    git(tmp_path, "clone", "--quiet", str(checkout), "clone")
    pulled = run_in(tmp_path / "clone", "dvc", "pull", "model", "reports/metrics.json", **environment)
    assert pulled.returncode == 0, pulled.stderr
    for path in (checkout / "model").rglob("*.*"):
        assert (tmp_path / "clone" / path.relative_to(checkout)).read_bytes() == path.read_bytes()


def test_another_partition_than_the_manifest_is_refused_with_the_next_step(checkout: Path, tmp_path: Path) -> None:
    copy_pipeline(tmp_path)
    (tmp_path / "manifest.json").write_bytes((checkout / "manifest.json").read_bytes())
    (tmp_path / "run.yaml").write_text('schema_version: 1\npipeline: trip_duration\npartition: "2020-03-06"\n')
    done = run_in(tmp_path, "python", "-m", "pipeline.ingest")
    assert done.returncode == 78
    assert "is for 2020-03-05, but run.yaml is for 2020-03-06" in done.stderr


@pytest.mark.parametrize("value", ["2020-03-05", '"2020-3-5"', '"2020-13-45"', '"2020-03-05; touch x"', "[1]"])
def test_a_partition_that_is_no_quoted_date_is_refused(value: str, tmp_path: Path) -> None:
    from pipeline.errors import InputsError
    from pipeline.stage import read_partition

    path = tmp_path / "run.yaml"
    path.write_text(f"schema_version: 1\npartition: {value}\n")
    with pytest.raises(InputsError, match="partition"):
        read_partition(path)
