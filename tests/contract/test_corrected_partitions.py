"""A day that is landed again, through the functions that the tasks call and the commands that people type, on real S3 and MLflow servers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from foreign_pipeline import PIPELINE, Origin, isolated_git
from live_servers import ROOT
from stack_model import REGION, STORE_BUCKET

from retrain.airflow.adapters import services
from retrain.commands.command_line import main, parser
from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import DataRefusedError, OverwrittenError
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.tasks.remove_workspace import remove_workspace
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run
from retrain.work.dvc.program import Dvc

DAY, NEXT = "2020-03-04", "2020-03-05"
DVC_YAML = """
stages:
  ingest:
    cmd: python -m pipeline.ingest
    deps: [manifest.json, pipeline/ingest.py]
    params: [ingest, run.yaml: [partition]]
    outs: [data/raw]
  add:
    cmd: python add.py
    deps: [add.py, data/raw]
    outs: [sum.txt]
"""
ADD = """
import pathlib
pathlib.Path("sum.txt").write_text(str(sum(int(f.read_text()) for f in pathlib.Path("data/raw").rglob("*.parquet"))))
"""
# Our own stage that reads raw objects, in an environment that is built already: the deployment's DVC.
RELEASE = {
    "dvc.yaml": DVC_YAML,
    "add.py": ADD,
    "params.yaml": "ingest: {threads: 2, attempts: 2}\n",
    **{f"pipeline/{name}.py": (ROOT / "pipeline" / f"{name}.py").read_text() for name in ("ingest", "stage", "errors")},
    **{name: (ROOT / "infra" / "dvc" / name).read_text() for name in ("pyproject.toml", "uv.lock")},
}
DEPLOYMENT = """
schema_version: 1
description: Adds up what has landed.
owner: them
schedule: {{cron: "0 6 * * *", start_date: 2020-01-01}}
repository: {{url: {origin}, environment: .}}
raw: {{url: "s3://{raw}/raw", window_days: 3}}
store: s3://{store}/{raw}
ledger: s3://{raw}/ledger
limits: {{min_free_disk_mb: 1}}
tracking: {{experiment: {raw}}}
slack: {{channel: "#alerts"}}
"""


@dataclass(frozen=True)
class Team:
    """A deployed pipeline, its data's owner, and whoever types commands."""

    deployment: Deployment
    client: object
    bucket: str

    def land(self, day, number):
        for name, body in ((f"dt={day}/part-0.parquet", str(number)), (f"dt={day}/_SUCCESS", "")):
            self.client.put_object(Bucket=self.bucket, Key=f"raw/{name}", Body=body.encode())

    def run(self, day, after_resolve=lambda: None):
        """All tasks of one day up to its record; gives the record."""
        reach = services(self.deployment)
        run = resolve_run(reach, day, "v1.0.0", f"run of {day}", "daily")
        after_resolve()
        reproduced = reproduce(reach, run)
        record_run(reach, run, reproduced, push(reach, run, reproduced))
        remove_workspace(reach, run.dag_run)
        return reach.ledger.entry(PIPELINE, day, run.run_key)

    def answer(self, *arguments):
        """What a command answers with --json."""
        options = parser().parse_args(["--pipeline", PIPELINE, *arguments])
        found = options.command(options)
        assert found.well
        return found.document

    def restored(self, to, *arguments):
        """What the day's sum is in a restored folder."""
        self.answer("restore", DAY, str(to), "--no-environment", *arguments)
        return Path(to, "sum.txt").read_text(), Path(to, f"data/raw/dt={DAY}/part-0.parquet").read_text()


@pytest.fixture
def team(request, either_server, connection, environments, tmp_path, monkeypatch):
    request.getfixturevalue("mlflow_server")
    request.getfixturevalue("deployment_dvc")
    account = {"login": either_server.access_key, "password": either_server.secret_key}
    extra = {"endpoint_url": either_server.url, "region_name": REGION}
    connection("aws_default", conn_type="aws", **account, extra=extra)
    isolated_git(tmp_path / "engineer", monkeypatch)
    home = tmp_path / "home"
    home.mkdir()
    (home / "environments").symlink_to(environments)
    monkeypatch.setenv("RETRAIN_HOME", str(home))
    origin = Origin.create(tmp_path)
    origin.release("v1.0.0", RELEASE)
    client, bucket = (
        either_server.client(),
        re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:60].strip("-"),
    )
    client.create_bucket(Bucket=bucket)
    # Days that have not landed whole, at the start of each window: moto leaves out the first key behind a marker.
    for day in ("2020-03-02", "2020-03-03"):
        client.put_object(Bucket=bucket, Key=f"raw/dt={day}/part-0.parquet", Body=b"1000")
    monkeypatch.setenv("RETRAIN_PIPELINES", str(tmp_path / "pipelines"))
    file = tmp_path / "pipelines" / f"{PIPELINE}.yaml"
    file.parent.mkdir()
    file.write_text(DEPLOYMENT.format(origin=origin.path, raw=bucket, store=STORE_BUCKET))
    return Team(load(file), client, bucket)


def keep_versions(team):
    team.client.put_bucket_versioning(Bucket=team.bucket, VersioningConfiguration={"Status": "Enabled"})


def test_a_corrected_day_supersedes_its_entry_makes_later_days_stale_and_both_can_be_had(team, tmp_path):
    keep_versions(team)
    team.land(DAY, 1)
    team.land(NEXT, 10)
    first, later = team.run(DAY), team.run(NEXT)
    assert team.answer("history", "--stale") == []
    team.land(DAY, 2)
    stale = team.answer("history", "--stale")
    assert [(line["partition"], line["stale"]) for line in stale] == [(DAY, [DAY]), (NEXT, [DAY])]

    corrected = team.run(DAY)
    assert first.raw_versioned
    assert corrected.run_key != first.run_key
    lines = {line["run_key"]: (line["status"], line["superseded_by"]) for line in team.answer("history")}
    assert lines == {
        first.run_key: ("superseded", corrected.run_key),
        corrected.run_key: ("live", None),
        later.run_key: ("live", None),
    }
    assert [(line["run_key"], line["stale"]) for line in team.answer("history", "--stale")] == [(later.run_key, [DAY])]

    assert team.restored(tmp_path / "newest") == ("2", "2")
    assert team.restored(tmp_path / "superseded", "--run-key", first.run_key[:12]) == ("1", "1")


def test_a_bucket_without_versions_works_and_what_is_overwritten_there_is_told_by_name(team, tmp_path, capsys):
    team.land(DAY, 1)
    record = team.run(DAY)
    assert record.raw_versioned is False
    assert team.restored(tmp_path / "before") == ("1", "1")

    team.land(DAY, 2)
    overwritten = f"s3://{team.bucket}/raw/dt={DAY}/part-0.parquet"
    assert main(["--pipeline", PIPELINE, "replay", DAY]) == 1
    said = capsys.readouterr().err
    for part in ("OverwrittenError", overwritten, "keeps no versions", "make restore"):
        assert part in said
    # What was recorded is on the remote, raw objects included: it needs none of the bucket's.
    assert team.restored(tmp_path / "after") == ("1", "1")


def test_what_is_overwritten_before_it_is_read_refuses_the_run_with_its_name(team):
    team.land(DAY, 1)
    with pytest.raises(DataRefusedError, match=rf"s3://{team.bucket}/raw/dt={DAY}/part-0\.parquet .*overwritten"):
        team.run(DAY, after_resolve=lambda: team.land(DAY, 2))
    assert team.answer("history") == []


def test_what_is_overwritten_refuses_the_run_although_its_stage_does_not_look_and_again_out_of_the_cache(
    team, monkeypatch
):
    """Another team's stage may read whatever is there, and the first attempt has cached what it made of the new bytes."""
    team.land(DAY, 1)
    reach = services(team.deployment)
    run = resolve_run(reach, DAY, "v1.0.0", f"run of {DAY}", "daily")
    reproduced = Dvc.repro

    def while_it_runs(program, described, timeout):
        done = reproduced(program, described, timeout)
        team.land(DAY, 2)
        return done

    monkeypatch.setattr(Dvc, "repro", while_it_runs)
    for _ in range(2):
        with pytest.raises(OverwrittenError, match=rf"s3://{team.bucket}/raw/dt={DAY}/part-0\.parquet \(1 objects"):
            reproduce(services(team.deployment), run)
