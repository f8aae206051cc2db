"""Days of a commit without a tag: run by its label, recorded, restored, replayed, explained and tried, on real S3 and MLflow servers."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from adding_team import ADD, DAY, NEXT, Team
from foreign_pipeline import PIPELINE
from stack_model import REGION

from retrain.airflow.adapters import services
from retrain.run.release import Release
from retrain.store import labels, ledger_facts
from retrain.work import workspace


@pytest.fixture
def team(request, either_server, connection, environments, tmp_path, monkeypatch):
    request.getfixturevalue("mlflow_server")
    request.getfixturevalue("deployment_dvc")
    account = {"login": either_server.access_key, "password": either_server.secret_key}
    extra = {"endpoint_url": either_server.url, "region_name": REGION}
    connection("aws_default", conn_type="aws", **account, extra=extra)
    return Team.start(tmp_path, request.node.name, either_server.client(), environments, monkeypatch)


@pytest.fixture
def labelled(team, tmp_path):
    """The commit of the label trial-1, in the middle of a branch of the origin. It adds 100 to each sum."""
    clone = tmp_path / "clone of origin"
    (clone / "add.py").write_text(ADD.replace("str(sum(", "str(100 + sum("))

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=clone, check=True, capture_output=True, text=True).stdout.strip()

    git("commit", "--quiet", "--all", "-m", "more")
    commit = git("rev-parse", "HEAD")
    git("commit", "--quiet", "--allow-empty", "-m", "later")
    git("push", "--quiet", "origin", "HEAD:refs/heads/feature")
    labels.fix_label(services(team.deployment).ledger, PIPELINE, Release("trial-1", commit))
    return commit


def test_a_day_of_a_labelled_commit_is_had_again_like_that_of_a_tag(team, labelled, tmp_path):
    team.land(DAY, 1)
    team.land(NEXT, 10)
    record = team.run(DAY, release="trial-1")
    assert (record.release, record.commit) == ("trial-1", labelled)
    tagged = team.run(NEXT)

    shutil.rmtree(workspace.mirrors())
    assert team.restored(tmp_path / "restored") == ("101", "1")
    assert team.answer("verify", DAY)
    assert team.answer("replay", DAY)["same"] is True
    shown = {line["partition"]: line["release"] for line in team.answer("history")}
    assert shown == {DAY: "trial-1", NEXT: "v1.0.0"}
    assert tagged.commit != labelled
    explained = team.answer("explain", DAY, NEXT)
    assert "add.py" in str(explained)
    tried = team.answer("try", NEXT, "--ref=trial-1")
    assert (tried["reference"], tried["commit"]) == ("trial-1", labelled)
    reach = services(team.deployment)
    where = ledger_facts.mirrored(reach.ledger, record)
    in_mlflow = reach.tracking._client().get_run(where.run_id)
    assert (in_mlflow.data.tags["release"], in_mlflow.info.run_name) == ("trial-1", f"{DAY} trial-1")
