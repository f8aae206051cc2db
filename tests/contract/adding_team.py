"""A team whose pipeline adds up the numbers that land: deployed, with a release, on an S3 server of the tests'."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from foreign_pipeline import FILES, PIPELINE
from live_servers import ROOT
from stack_model import STORE_BUCKET
from team_origin import Origin, isolated_git

from retrain.airflow.adapters import services
from retrain.commands.command_line import parser
from retrain.deployment.pipeline_file import Deployment, load
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.tasks.remove_workspace import remove_workspace
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run

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

    @classmethod
    def start(cls, folder, name, client, environments, patch):
        """Deploy the pipeline, with a RETRAIN_HOME of its own; the built environments are shared."""
        isolated_git(folder / "engineer", patch)
        home = folder / "home"
        home.mkdir()
        (home / "environments").symlink_to(environments)
        patch.setenv("RETRAIN_HOME", str(home))
        origin = Origin.create(folder, FILES)
        origin.release("v1.0.0", RELEASE)
        bucket = re.sub(r"[^a-z0-9]+", "-", name.removeprefix("test_"))[:60].strip("-")
        client.create_bucket(Bucket=bucket)
        # Days that have not landed whole, at the start of each window: moto leaves out the first key behind a marker.
        for day in ("2020-03-02", "2020-03-03"):
            client.put_object(Bucket=bucket, Key=f"raw/dt={day}/part-0.parquet", Body=b"1000")
        patch.setenv("RETRAIN_PIPELINES", str(folder / "pipelines"))
        file = folder / "pipelines" / f"{PIPELINE}.yaml"
        file.parent.mkdir()
        file.write_text(DEPLOYMENT.format(origin=origin.path, raw=bucket, store=STORE_BUCKET))
        return cls(load(file), client, bucket)

    def land(self, day, number):
        for name, body in ((f"dt={day}/part-0.parquet", str(number)), (f"dt={day}/_SUCCESS", "")):
            self.client.put_object(Bucket=self.bucket, Key=f"raw/{name}", Body=body.encode())

    def run(self, day, after_resolve=lambda: None, *, release="v1.0.0"):
        """All tasks of one day up to its record; gives the record."""
        reach = services(self.deployment)
        run = resolve_run(reach, day, release, f"run of {day}", "daily")
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
