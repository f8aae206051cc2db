"""DVC's grammar from `dvc repro` to the replay, as DVC's documentation describes it: one repository with a stage for each feature."""

from __future__ import annotations

import pytest
from grammar_team import RELEASE, GrammarTeam, files_of

from retrain.work.dvc.description import Description

LEFT = {"m.json", "p.csv", "side.txt", "local.txt"}  # cache: false or push: false, and not in the commit


@pytest.fixture(scope="module")
def team(s3, mlflow_server, deployment_dvc, tmp_path_factory):  # noqa: ARG001 - MLflow has to be up
    with pytest.MonkeyPatch.context() as patch:
        environments = deployment_dvc.path.parent
        yield GrammarTeam.start(tmp_path_factory.mktemp("grammar"), "grammar", s3, environments, patch, RELEASE)


@pytest.fixture(scope="module")
def run(team):
    """The day, recorded. Read it only."""
    return team.run(team.deployment())


@pytest.fixture(scope="module")
def described(run):
    return Description.from_json(run.place.description.read_bytes(), "it")


def test_every_stage_of_every_dvc_yaml_runs_once(run):
    executed = {stage.name for stage in run.reproduced.stages}
    assert executed >= {
        "day",
        "each@a",
        "each@b",
        "pairs@x",
        "pairs@y",
        "lone@only",
        *(f"grid@{size}-{kind}" for size in "12" for kind in "ab"),
        "templated",
        "nested/dvc.yaml:late",
        "nested/dvc.yaml:later",
    }


def test_a_restored_day_is_the_project_as_it_ran_but_for_what_dvc_does_not_store(team, run, tmp_path):
    restored = team.restore(run.record, team.deployment(), tmp_path / "day")
    ran = {name: content for name, content in files_of(run.place.project).items() if name not in LEFT}
    assert files_of(restored.path) == ran


@pytest.mark.slow
def test_a_replay_gives_the_recorded_bytes(team, run, tmp_path):
    found = team.replay(run.record, team.deployment(), tmp_path)
    assert [each.path for each in found.outputs if not each.same] == []
