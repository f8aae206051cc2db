"""Challenger against champion on real S3 and MLflow servers: in which environment each is scored, and who comes first."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from stack_model import STORE_BUCKET

from retrain.airflow.adapters import services
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import ReportError, ScoreError
from retrain.results import Recorded, Reproduced, Resolved
from retrain.run.manifest import Manifest
from retrain.run.run_record import RunRecord
from retrain.run.run_spec import RunSpec
from retrain.services import Services
from retrain.store import ledger_facts
from retrain.store.ledger import ENVIRONMENT
from retrain.store.receipt import Receipt
from retrain.tasks.promote import promote
from retrain.work import workspace
from retrain.work.dvc.declared import Artifact
from retrain.work.dvc.description import Description
from retrain.work.environments import environment
from retrain.work.file_lock import locked

# The error that the model says, and one more in an environment that is not the model's own.
SCORE = """
import importlib.metadata, json, pathlib, sys
model = json.loads(pathlib.Path(sys.argv[1], "model.json").read_text())
try:
    version = importlib.metadata.version("iniconfig")
except importlib.metadata.PackageNotFoundError:
    version = None
error = model["error"] + (0 if version == model["needs"] else 100)
pathlib.Path(sys.argv[3]).write_text(json.dumps({"mae": error} if error != 13 else {"rmse": 1}))
"""
BARE = f"# python {sys.version_info.major}.{sys.version_info.minor}\n"


def frozen(version):
    """The frozen outcome of an environment with one package, as a release with a requirements.txt gets it."""
    return f"iniconfig=={version}"


@dataclass(frozen=True)
class Team:
    reach: Services
    folder: Path
    environments: dict[str | None, environment.Environment]

    def day(self, partition, error, needs=None, recorded_lock=None):
        """A day whose model says its error and needs a version of a package; recorded in the ledger and registered in MLflow."""
        spec = RunSpec(self.reach.pipeline, partition, "v1.0.0", "c" * 40, "d" * 64)
        built = self.environments[needs]
        place = self.folder / partition
        checkout = place / "checkout"
        (checkout / "model").mkdir(parents=True)
        (checkout / "model" / "model.json").write_text(json.dumps({"error": error, "needs": needs}))
        (checkout / "score.py").write_text(SCORE)
        (checkout / "rows.txt").write_text("rows")
        (checkout / "metrics.json").write_text(json.dumps({"model": {"mae": error}}))
        described = Description((), {}, (), (Artifact("m", "model", "model", None),), (), (), {})
        (place / "description.json").write_text(described.to_json())
        (place / "manifest.json").write_text(Manifest(self.reach.pipeline, partition, "s3://raw", ()).to_json())
        run = Resolved.of(spec, f"run of {partition}", "daily")
        where = self.reach.tracking.record(
            experiment=self.reach.deployment.tracking.experiment,
            name=partition,
            tags={**spec.to_dict(), "environment": built.identity},
            params={},
            metrics={"mae": error},
            dataset=("d", "d" * 64, "s3://raw"),
            artifacts=lambda: iter(()),
            model=(self.reach.deployment.tracking.model, checkout / "model"),
        )
        record = RunRecord(
            **spec.to_dict(),
            recorded_at=f"{partition}T06:00:00+00:00",
            dag_run=run.dag_run,
            mode="daily",
            environment=built.identity,
            threads=1,
            raw_versioned=True,
            outputs={},
            metrics={},
            objects=0,
            size=0,
        )
        lock = built.frozen.read_text() if recorded_lock is None else recorded_lock
        self.reach.ledger.commit(record, {ENVIRONMENT: lock}, Receipt("s3://store", ()))
        ledger_facts.count(self.reach.ledger, spec, run.dag_run, "daily")
        left = Recorded(True, where.run_id, where.experiment_id, where.model_version, "http://mlflow", {})
        return run, Reproduced(str(place), built.identity, 1, (), 1.0), left

    def promote(self, day):
        return promote(self.reach, *day)

    @property
    def champion(self):
        found = self.reach.tracking.champion(self.reach.deployment.tracking.model)
        return found and found["partition"]


@pytest.fixture(scope="module")
def built(environments, tmp_path_factory):
    """One environment without packages and one with each of two versions of a package."""
    folder = tmp_path_factory.mktemp("releases")
    found = {}
    for version in (None, "2.0.0", "2.1.0"):
        project = folder / f"release-{version}"
        project.mkdir()
        (project / "requirements.txt").write_text(f"{frozen(version)}\n" if version else "")
        found[version] = environment.provide(project, environments)
    return found


@pytest.fixture
def team(s3, bucket, mlflow_server, built, environments, tmp_path, monkeypatch, request):  # noqa: ARG001 - MLflow has to be up
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("RETRAIN_HOME", str(home))
    (home / "environments").symlink_to(environments)
    name, ledger = re.sub(r"\W", "_", request.node.name)[:60], bucket()
    deployment = Deployment(
        schema_version=1,
        pipeline="taxi",
        description="",
        owner="them",
        schedule={"cron": "0 6 * * *", "start_date": "2020-01-01"},
        repository={"url": "nowhere"},
        raw={"url": f"s3://{ledger}/raw", "window_days": 1},
        store=f"s3://{STORE_BUCKET}/taxi",
        ledger=f"s3://{ledger}/ledger",
        tracking={"experiment": name, "model": name},
        promotion={
            "score": ["python", "score.py"],
            "rows": "rows.txt",
            "metrics": "metrics.json",
            "challenger": "model",
            "metric": "mae",
        },
        slack={"channel": "#alerts"},
    )
    return Team(services(deployment), tmp_path / "days", built)


def test_a_champion_is_scored_in_the_environment_that_it_was_trained_in(team):
    team.promote(team.day("2020-03-03", 5, needs="2.0.0"))
    done = team.promote(team.day("2020-03-04", 6, needs="2.1.0"))
    assert (done.promoted, done.reason) == (False, "mae 6.000 does not beat the champion's 5.000.")


def test_a_champions_environment_that_the_volume_lost_is_installed_again_from_its_ledger_entry(
    team, monkeypatch, tmp_path
):
    team.promote(team.day("2020-03-03", 5, needs="2.0.0"))
    other = tmp_path / "other-home"
    (other / "environments").mkdir(parents=True)
    monkeypatch.setenv("RETRAIN_HOME", str(other))
    kept = team.environments["2.1.0"]
    (other / "environments" / kept.path.name).symlink_to(kept.path)
    done = team.promote(team.day("2020-03-04", 6, needs="2.1.0"))
    assert (done.promoted, done.reason) == (False, "mae 6.000 does not beat the champion's 5.000.")


def test_a_champion_whose_environment_is_not_to_be_had_is_not_scored_in_another_one(team, monkeypatch, tmp_path):
    gone = f"{BARE}no-such-package-of-ours==1.0.0 --hash=sha256:{'0' * 64}\n"
    team.promote(team.day("2020-03-03", 5, needs="2.0.0", recorded_lock=gone))
    other = tmp_path / "other-home"
    (other / "environments").mkdir(parents=True)
    monkeypatch.setenv("RETRAIN_HOME", str(other))
    kept = team.environments["2.1.0"]
    (other / "environments" / kept.path.name).symlink_to(kept.path)
    with pytest.raises(
        ScoreError, match=r"of 2020-03-03, cannot be scored without its own environment.*no-such-package"
    ):
        team.promote(team.day("2020-03-04", 1, needs="2.1.0"))
    assert team.champion == "2020-03-03"


def test_a_score_without_the_metric_is_named(team):
    with pytest.raises(ScoreError, match=r"wrote no number mae for the challenger"):
        team.promote(team.day("2020-03-03", 13))


def test_an_older_day_does_not_overtake_a_newer_one_that_is_promoted_at_the_same_time(team):
    older = team.day("2020-03-03", 5)
    with ThreadPoolExecutor(1) as pool:
        with locked(workspace.home() / "locks" / "taxi.promotion"):
            waiting = pool.submit(team.promote, older)
            newer = team.day("2020-03-04", 4)
            team.reach.tracking.promote(team.reach.deployment.tracking.model, newer[2].model_version)
        done = waiting.result(120)
    assert (done.promoted, done.reason) == (False, "2020-03-03 is not the newest partition, 2020-03-04 is.")
    assert team.champion == "2020-03-04"


def test_a_version_of_a_day_that_is_still_to_come_does_not_stop_promotions(team):
    team.day("2999-12-31", 1)
    assert team.promote(team.day("2020-03-03", 5)).promoted
    assert team.champion == "2020-03-03"


def test_a_model_that_cannot_be_scored_is_named_before_a_baseline_that_is_missing(team):
    gate = team.reach.deployment.promotion.model_copy(update={"baselines": ("no_such_rule",)})
    deployment = team.reach.deployment.model_copy(update={"promotion": gate})
    team = replace(team, reach=services(deployment))
    with pytest.raises(ScoreError, match=r"wrote no number mae for the challenger"):
        team.promote(team.day("2020-03-03", 13))
    with pytest.raises(ReportError, match=r"metrics\.json has no mae of the baseline 'no_such_rule'"):
        team.promote(team.day("2020-03-04", 5))


def test_a_refusal_sends_no_request_to_s3(team):
    team.promote(team.day("2020-03-03", 5))
    day = team.day("2020-03-04", 6)
    fresh = services(team.reach.deployment)
    assert not promote(fresh, *day).promoted
    assert not {"s3", "ledger"} & vars(fresh).keys()
