"""Days of pipelines that lie below the top, that run only some stages, or that bring locks and params of their own making."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from grammar_team import GrammarTeam, files_of

from retrain.airflow.adapters import services
from retrain.errors import NotAPipelineError
from retrain.inputs.release_check import require_runnable
from retrain.results import Reproduced
from retrain.trial.tried_day import try_day
from retrain.work import git
from retrain.work.dvc.errors import FrozenLockError, HydraError, TargetError
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.dvc.project_root import project_root
from retrain.work.environments import environment
from retrain.work.workspace import Workspace

STAGES = """
stages:
  split: {cmd: cp manifest.json parts.json && cat run.yaml >> parts.json, deps: [manifest.json], params: [run.yaml: [partition]], outs: [parts.json]}
  fit: {cmd: "cat parts.json params.yaml > model.txt && echo '{\\"mae\\": 2}' > m.json", deps: [parts.json], params: [rate], outs: [model.txt], metrics: [m.json]}
  deploy: {cmd: exit 7, deps: [model.txt]}
"""
REPORT = "stages: {tell: {cmd: wc -c ../model.txt > told.txt, deps: [../model.txt], outs: [told.txt]}}\n"
BASE = {"split.py": None, "fit.py": None, "report.py": None, "dvc.yaml": None, ".dvc/config": None}
FOLDER = {**BASE, "ml/taxi/dvc.yaml": STAGES, "ml/taxi/params.yaml": "rate: 1\n", "ml/taxi/report/dvc.yaml": REPORT}


@pytest.fixture
def start(s3, mlflow_server, deployment_dvc, tmp_path, monkeypatch, request):  # noqa: ARG001 - MLflow has to be up
    environments = deployment_dvc.path.parent
    name = f"layouts-{zlib.crc32(request.node.name.encode()):x}"
    return lambda files: GrammarTeam.start(tmp_path, name, s3, environments, monkeypatch, files)


def place_of(reproduced: Reproduced) -> Workspace:
    return Workspace(Path(reproduced.workspace))


@pytest.mark.parametrize(
    ("config", "root"),
    [
        pytest.param({"ml/taxi/.dvc/config": ""}, "ml/taxi", id="with a project of its own"),
        pytest.param({".dvc/config": ""}, ".", id="in a project above"),
    ],
)
def test_a_folder_runs_is_recorded_restored_and_replayed_by_the_recorded_settings(start, tmp_path, config, root):
    team = start({**FOLDER, **config})
    report = "ml/taxi/report/dvc.yaml" if root == "." else "report/dvc.yaml"
    params = f"params: {{{'ml/taxi/' if root == '.' else ''}params.yaml: {{rate: 5}}}}\n"
    deployment = team.deployment(f"targets: [fit, {report}]\n{params}", ", folder: ml/taxi, environment: .")
    run = team.run(deployment)
    place = run.place
    assert place.run_folder == place.checkout / "ml/taxi"
    assert place.project == (place.checkout / root).resolve()
    assert {stage.name.rpartition(":")[2] for stage in run.reproduced.stages} == {"split", "fit", "tell"}
    assert "rate: 5" in (place.checkout / "ml/taxi/model.txt").read_text()
    prefix = "ml/taxi/" if root == "." else ""
    assert set(run.record.outputs) == {
        f"{prefix}{name}" for name in ("parts.json", "model.txt", "m.json", "report/told.txt")
    }
    # Today's file has neither folder nor targets.
    today = team.deployment("")
    restored = team.restore(run.record, today, tmp_path / "day")
    assert files_of(restored.path / root) == files_of(place.project)
    assert restored.unstored == ()
    assert team.replay(run.record, today, tmp_path).same


@pytest.mark.slow
def test_a_trial_of_a_folder_asks_dvc_about_the_second_run_of_its_targets_alone(start):
    team = start({**FOLDER, ".dvc/config": ""})
    deployment = team.deployment("targets: [fit]\n", ", folder: ml/taxi, environment: .")
    tried = try_day(deployment, services(deployment).credentials, "2020-03-04", None, keep=False, say=print)
    assert [(each.name, each.skipped) for each in tried.second_run] == [
        ("ml/taxi/dvc.yaml:split", True),
        ("ml/taxi/dvc.yaml:fit", True),
    ]


def checked(team: GrammarTeam, settings: str, repository: str, to) -> None:
    """What `make release` examines."""
    deployment = team.deployment(settings, repository)
    commit = team.origin.git("rev-parse", "v1.0.0^{commit}")
    git.checkout(team.origin.path, commit, to)
    project = project_root(to, deployment.repository.folder)
    own = services(deployment)

    dvc = environment.provide(DEPLOYMENT_DVC, team.environments)
    program = Dvc.of(project, dvc, dvc, to.parent / "cache", {})
    require_runnable(own.deployment, to, project, program, own.tracked, "v1.0.0")


@pytest.mark.parametrize(
    ("settings", "repository", "error", "said"),
    [
        ("targets: [fitt]\n", ", folder: ml/taxi, environment: .", TargetError, r"has ml/taxi/dvc\.yaml:fitt, .*Near it are ml/taxi/dvc\.yaml:fit"),
        ("", "", NotAPipelineError, r"no dvc\.yaml, but ml/taxi/dvc\.yaml, .*repository\.folder"),
        ("", ", folder: ml/bus", NotAPipelineError, "repository.folder is ml/bus, which is no folder of the release"),
    ],
    ids=["a target that is no stage", "no folder", "a folder that is not there"],
)  # fmt: skip
def test_a_release_that_does_not_fit_folder_or_targets_is_refused_before_it_is_pinned(
    start, tmp_path, settings, repository, error, said
):
    team = start({**FOLDER, ".dvc/config": ""})
    with pytest.raises(error, match=said):
        checked(team, settings, repository, tmp_path / "checkout")


MODEL = "stages: {fit: {cmd: cat manifest.json params.yaml > model.txt, deps: [manifest.json], params: [rate], outs: [model.txt]}}\n"
TOP = {**BASE, "dvc.yaml": MODEL, "params.yaml": "rate: 1\n", ".dvc/config": ""}
COPY = "stages: {copy: {cmd: cp ../model.txt x.txt, deps: [../model.txt], outs: [x.txt]}}\n"
MD5 = f"md5: '{'1' * 32}', size: 1"
ENTRY = f"  copy: {{cmd: x, outs: [{{path: x.txt, {MD5}}}]}}\n"
HEAD = "schema: '2.0'\nstages:\n"
LOCKS = {
    "absolute": f"{HEAD}  copy: {{cmd: x, deps: [{{path: /home/them/x, hash: md5, {MD5}}}], outs: [{{path: x.txt, hash: md5, {MD5}}}]}}\n",
    "conflict": f"<<<<<<< HEAD\n{HEAD}=======\n>>>>>>> theirs\n",
    "dvc2": HEAD + ENTRY,
    "first": "copy: {cmd: x}\n",
    "gone": f"{HEAD}{ENTRY.replace('copy', 'removed')}  each@c: {{cmd: x}}\n",
    "other": f"{HEAD}  copy: {{cmd: x, outs: [{{path: old.txt, hash: md5, {MD5}}}]}}\n",
    "twice": f"{HEAD}{ENTRY}{ENTRY}",
}
IGNORED = {
    "alone/dvc.lock is ignored: no stage is in the dvc.yaml beside it",
    "conflict/dvc.lock is ignored: DVC cannot read it ('./conflict/dvc.lock' is invalid: mapping values",
    "dvc2/dvc.lock has entries that are ignored: copy (MD5s of DVC 2)",
    "first/dvc.lock is ignored: DVC cannot read it ('./first/dvc.lock' validation failed",
    "gone/dvc.lock has entries that are ignored: each@c, removed (no such stage)",
    "other/dvc.lock has entries that are ignored: copy (other outputs than in dvc.yaml)",
    "twice/dvc.lock is ignored: DVC cannot read it ('./twice/dvc.lock' is invalid: found duplicate key",
}


def test_committed_locks_of_any_kind_are_no_reason_to_stop_and_the_run_lists_what_it_ignores(start):
    """One that Git ignores too: DVC alone would refuse it."""
    kinds = (*LOCKS, "unseen")
    files = {f"{kind}/dvc.yaml": COPY for kind in kinds} | {f"{kind}/dvc.lock": text for kind, text in LOCKS.items()}
    team = start({**TOP, **files, "alone/dvc.lock": f"{HEAD}{ENTRY}", "unseen/.gitignore": "dvc.lock\n"})
    reproduced = team.reproduce(team.deployment())
    assert {stage.name for stage in reproduced.stages} == {"fit", *(f"{kind}/dvc.yaml:copy" for kind in kinds)}
    assert len(reproduced.prepared) == len(IGNORED)
    assert all(any(said.startswith(note) for said in reproduced.prepared) for note in IGNORED)
    project = place_of(reproduced).project
    assert {kind: (project / kind / "dvc.lock").read_text().count("path: x.txt") for kind in kinds} == dict.fromkeys(
        kinds, 1
    )
    assert not [kind for kind in kinds if "1" * 32 in (project / kind / "dvc.lock").read_text()]


def test_a_frozen_stage_whose_lock_cannot_be_read_is_refused_by_name(start, tmp_path):
    frozen = MODEL.replace("deps: [manifest.json]", "deps: [manifest.json, raw.txt]").replace(
        "stages: {", "stages: {get: {cmd: exit 1, frozen: true, outs: [raw.txt]}, "
    )
    team = start({**TOP, "dvc.yaml": frozen, "dvc.lock": "stages: ["})
    with pytest.raises(
        FrozenLockError,
        match=r"DVC cannot read dvc\.lock \(.*stage get is frozen: only that file says what its output raw\.txt is",
    ):
        checked(team, "", "", tmp_path / "checkout")


HYDRA = {
    **TOP,
    ".dvc/config": "[hydra]\n    enabled = True\n    config_dir = settings\n",
    "params.yaml": None,
    "settings/config.yaml": "defaults: [model: small, _self_]\nrate: 2\n",
    "settings/model/small.yaml": "depth: 3\n",
}


def test_params_are_composed_as_dvc_exp_run_does_and_params_of_the_file_come_after(start, tmp_path):
    team = start(HYDRA)
    run = team.run(team.deployment("params: {params.yaml: {model.depth: 4}}\n"))
    assert run.reproduced.prepared == (
        "params.yaml is composed by Hydra from settings/config.yaml",
        "params.yaml: model.depth is 4, in the release 3",
    )
    assert (run.place.project / "model.txt").read_text().endswith("model:\n  depth: 4\nrate: 2\n")
    restored = team.restore(run.record, team.deployment(""), tmp_path / "day")
    assert files_of(restored.path) == files_of(run.place.project)
    assert team.replay(run.record, team.deployment(""), tmp_path).same


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"settings/config.yaml": "defaults: [model: large]\n"}, "large"),
        ({".dvc/config": "[hydra]\n    enabled = True\n    config_module = theirs\n"}, "theirs"),
    ],
    ids=["a file that is not there", "a module that DVC cannot import"],
)
def test_a_configuration_that_hydra_refuses_is_refused_at_release(start, tmp_path, files, said):
    team = start({**HYDRA, **files})
    with pytest.raises(HydraError, match=f"params.yaml cannot be composed.*{said}"):
        checked(team, "", "", tmp_path / "checkout")


LIVE = """
import json, pathlib
pathlib.Path("dvclive").mkdir(exist_ok=True)
pathlib.Path("dvclive/metrics.json").write_text(json.dumps({"loss": 0.5}))
pathlib.Path("model.txt").write_text(open("manifest.json").read())
text = pathlib.Path("dvc.yaml").read_text()
if "metrics:" not in text:
    pathlib.Path("dvc.yaml").write_text(text + "metrics: [dvclive/metrics.json]\\n")
"""


@pytest.mark.slow
def test_metrics_that_a_stage_adds_to_dvc_yaml_while_it_runs_are_recorded(start, tmp_path):
    """As DVCLive does by default."""
    stages = "stages: {fit: {cmd: python live.py, deps: [live.py, manifest.json], outs: [model.txt, dvclive]}}\n"
    team = start({**TOP, "dvc.yaml": stages, "live.py": LIVE})
    run = team.run(team.deployment(""))
    assert run.record.metrics == {"loss": 0.5}
    restored = team.restore(run.record, team.deployment(""), tmp_path / "day")
    assert json.loads((restored.path / "dvclive/metrics.json").read_text()) == {"loss": 0.5}
    assert team.replay(run.record, team.deployment(""), tmp_path).same


def test_outputs_that_dvc_does_not_store_are_named_by_a_restore(start, tmp_path):
    plain = "stages: {fit: {cmd: cp manifest.json model.txt && echo 1 > m.json, deps: [manifest.json], outs: [model.txt], metrics: [m.json: {cache: false}]}}\n"
    team = start({**TOP, "dvc.yaml": plain})
    run = team.run(team.deployment(""))
    assert team.restore(run.record, team.deployment(""), tmp_path / "day").unstored == ("m.json",)
    assert run.record.metrics == {"m": 1.0}
