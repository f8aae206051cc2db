"""Which stages a run of some targets reaches, compared with a real `dvc repro`, and targets that are refused."""

from __future__ import annotations

import pytest
from described_checkout import Checkout

from retrain.deployment.run_settings import RunSettings
from retrain.errors import NotAPipelineError
from retrain.work.dvc.errors import TargetError

TOP = """
stages:
  train: {cmd: cp prep/clean.csv model.pkl, deps: [prep/clean.csv], outs: [model.pkl]}
  evaluate: {cmd: cp model.pkl scores.json, deps: [model.pkl], metrics: [scores.json: {cache: false}]}
  each: {foreach: [a, b], do: {cmd: "echo ${item} > ${item}", deps: [source.txt], outs: ["${item}"]}}
  still: {cmd: exit 1, frozen: true, deps: [late/late.txt], outs: [source.txt: {cache: false}]}
  upload: {cmd: exit 1, deps: [model.pkl]}
metrics: [scores.json]
artifacts: {model: {path: model.pkl, type: model}, scores: {path: scores.json}}
"""
FILES = {
    "dvc.yaml": TOP,
    "source.txt": "1\n",
    "prep/dvc.yaml": "stages:\n  clean: {cmd: cp ../source.txt clean.csv, deps: [../source.txt], outs: [clean.csv]}\n",
    "late/dvc.yaml": "stages:\n  late: {cmd: echo late > late.txt, outs: [late.txt: {cache: false}]}\nmetrics: [../model.pkl]\n",
    "late/late.txt": "late\n",
    "notes/dvc.yaml": "artifacts: {notes: {path: notes.txt}}\n",
}


@pytest.fixture
def checkout(deployment_dvc, tmp_path):
    return lambda files=FILES, **settings: Checkout(tmp_path, deployment_dvc, files, RunSettings(**settings))


@pytest.mark.parametrize(
    ("targets", "reached"),
    [
        pytest.param(("evaluate",), {"prep/dvc.yaml:clean", "train", "evaluate"}, id="a stage with all that it needs"),
        pytest.param(("each", "train"), {"prep/dvc.yaml:clean", "train", "each@a", "each@b"}, id="a foreach group"),
        pytest.param(("each@b",), {"each@b"}, id="one item"),
        pytest.param(("prep/dvc.yaml", "late/dvc.yaml:late"), {"prep/dvc.yaml:clean", "late/dvc.yaml:late"}, id="other files"),
        pytest.param(("still",), {"still"}, id="a frozen stage without what it needs"),
    ],
)  # fmt: skip
def test_a_run_of_targets_reaches_the_stages_that_dvc_repro_runs(checkout, targets, reached):
    made = checkout(targets=targets)
    described = made.repro()
    assert {stage.name for stage in described.stages if stage.reached} - {"still"} == reached - {"still"}
    assert set(made.stages) == reached - {"still"}, "DVC has no line for a frozen stage"
    assert "late/dvc.yaml:late" in made.stages or not (made.path / "late/dvc.lock").exists()


def test_all_targets_are_every_dvc_yaml_and_nothing_that_no_stage_needs(checkout):
    tracked = f"outs: [{{path: unused.csv, md5: '{'1' * 32}', size: 4, hash: md5}}]\n"
    files = {**FILES, "dvc.yaml": TOP.replace("exit 1, deps", "echo sent, deps"), "unused.csv.dvc": tracked}
    made = checkout(files, targets="all")
    described = made.repro()
    assert all(stage.reached for stage in described.stages)
    assert "unused.csv" not in described.missing
    assert {artifact.name for artifact in described.artifacts} == {"model", "scores", "notes/dvc.yaml:notes"}


def test_metrics_and_artifacts_of_stages_that_do_not_run_are_not_missed(checkout):
    described = checkout(targets=("train",)).repro()
    assert [artifact.name for artifact in described.artifacts] == ["model"]
    assert list(described.metrics) == ["model.pkl"], "another dvc.yaml names an output of this run"
    assert described.missing == ()


def test_a_dvc_yaml_without_stages_runs_all_others_as_dvc_does(checkout):
    """`dvc repro` with nothing to begin at takes the whole graph."""
    made = checkout({**FILES, "dvc.yaml": "stages: {}\n"})
    described = made.repro()
    assert {stage.name for stage in described.stages if stage.reached} == set(made.stages)
    assert set(made.stages) == {"prep/dvc.yaml:clean", "late/dvc.yaml:late"}


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("trian", "Near it are train"),
        ("clean", r"Near it are prep/dvc\.yaml:clean"),
        ("each@c", "Near it are each@[ab], each@[ab], each"),
        ("prep/dvc.yaml:clear", r"Near it are prep/dvc\.yaml:clean"),
        ("source.txt.dvc", r"Its stages are in dvc\.yaml, late/dvc\.yaml, prep/dvc\.yaml"),
    ],
)
def test_a_target_that_is_no_stage_is_refused_with_those_like_it(checkout, target, near):
    files = {**FILES, "source.txt.dvc": "outs: [{path: other.txt}]\n"}
    with pytest.raises(TargetError, match=rf"targets in the pipeline's file has {target}, which is no stage .*{near}"):
        checkout(files, targets=("train", target)).dvc.describe()


def test_a_release_with_dvc_yaml_elsewhere_is_told_to_name_folder_or_targets(checkout):
    files = {name: text for name, text in FILES.items() if name != "dvc.yaml"}
    said = r"has no dvc\.yaml, but late/dvc\.yaml, prep/dvc\.yaml\. .*repository\.folder.*`targets: all`"
    with pytest.raises(NotAPipelineError, match=said):
        checkout(files).dvc.describe()


OWN = {"ml/taxi/source.txt": "1\n", "ml/taxi/dvc.yaml": "stages: {copy: {cmd: cp source.txt out.txt, deps: [source.txt], outs: [out.txt]}}\n"}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "name", "out"),
    [
        pytest.param({"ml/taxi/.dvc/config": ""}, "copy", "out.txt", id="a project of its own"),
        pytest.param({}, "copy", "out.txt", id="no .dvc at all"),
        pytest.param({".dvc/config": ""}, "ml/taxi/dvc.yaml:copy", "ml/taxi/out.txt", id="part of a project above"),
    ],
)
@pytest.mark.parametrize("targets", [(), ("copy",)], ids=["its dvc.yaml", "a stage of it"])
def test_a_folder_is_run_as_dvc_repro_in_it_does(checkout, config, name, out, targets):
    files = {**OWN, **config, "dvc.yaml": "stages: {copy: {cmd: exit 1}}\n"}
    made = checkout(files, folder="ml/taxi", targets=targets)
    described = made.repro()
    assert made.stages == [name]
    assert [output.path for output in described.stored] == [out]
    assert (made.path / "ml/taxi/out.txt").read_text() == "1\n"


def test_a_folder_without_dvc_s_own_is_described_before_it_is_configured(checkout):
    made = checkout(OWN, folder="ml/taxi")
    assert [stage.name for stage in made.dvc.describe().stages] == ["copy"]
    assert not (made.project / ".dvc").exists()
