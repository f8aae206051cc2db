"""A small pipeline of somebody else's that reads its data at a path, with raw objects in a real bucket, as the tasks run it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreign_pipeline import DAY, PIPELINE, Pipeline

from retrain.airflow.adapters import services
from retrain.deployment.pipeline_file import Deployment, load
from retrain.inputs.prepared import Prepared, prepare
from retrain.inputs.raw_cache import RawObjects
from retrain.results import Resolved
from retrain.run.manifest import Manifest, RawObject
from retrain.run.release import Release
from retrain.run.run_spec import RunSpec
from retrain.tasks.reproduce import reproduce
from retrain.work import git, pipeline_caches, workspace
from retrain.work.dvc.program import Dvc

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TRAIN = """
import json, pathlib
read = {str(f.relative_to("data/raw")): f.read_text() for f in sorted(pathlib.Path("data/raw").rglob("*")) if f.is_file()}
pathlib.Path("model.json").write_text(json.dumps([read, pathlib.Path("params.yaml").read_text()]))
"""
# The stages of `foreign_pipeline` give way to one that reads a folder, with a sample of it in Git.
SAMPLED = {
    "dvc.yaml": """
stages:
  train:
    cmd: python train.py
    deps: [train.py, data/raw]
    params: [data]
    outs: [model.json]
""",
    "train.py": TRAIN,
    "params.yaml": "data:  # the day\n  date: '2020-01-01'\n  year: 2020\n",
    "data/raw/sample.csv": "a sample\n",
    "data/raw/deep/more.csv": "more of it\n",
    ".dvc/config": "",
    ".gitignore": "/run.yaml\n/manifest.json\n/model.json\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    "split.py": None,
    "fit.py": None,
    "report.py": None,
}
DEPLOYMENT = """
schema_version: 1
description: Somebody else's pipeline.
owner: them
schedule: {{cron: "0 6 * * *", start_date: 2020-01-01}}
repository: {{url: {origin}, environment: .}}
raw: {{url: "{raw}", window_days: 2}}
store: {remote}
ledger: {ledger}
limits: {{min_free_disk_mb: 1}}
tracking: {{experiment: foreign}}
slack: {{channel: "#alerts"}}
"""


@dataclass(frozen=True)
class LaidPipeline:
    """The pipeline, the raw bucket of a test, and a file for it with the settings that are tested."""

    pipeline: Pipeline
    client: S3Client
    bucket: str
    folder: Path

    @property
    def root(self) -> str:
        return f"s3://{self.bucket}/raw"

    def land(self, key: str, content: str = "", **options: Any) -> RawObject:
        """Write a raw object."""
        body = (content or f"content of {key}\n").encode()
        answer = self.client.put_object(Bucket=self.bucket, Key=f"raw/{key}", Body=body, **options)
        return RawObject(key, answer["ETag"].strip('"'), len(body), answer.get("VersionId"))

    def release(self, files: Mapping[str, str | None] | None = None, tag: str = "v1.0.0") -> None:
        self.pipeline.origin.release(tag, {**SAMPLED, **(files or {})})

    def deployment(self, settings: str) -> Deployment:
        """The pipeline's file with these keys."""
        file = self.folder / f"{PIPELINE}.yaml"
        values = {"origin": self.pipeline.origin.path, "raw": self.root, "remote": self.pipeline.remote}
        file.write_text(DEPLOYMENT.format(**values, ledger=f"s3://{self.bucket}/ledger") + settings)
        return load(file)

    def manifest(self, settings: str, *objects: RawObject) -> Manifest:
        return Manifest(PIPELINE, DAY, self.root, tuple(sorted(objects)), self.deployment(settings).run_settings())

    def spec(self, manifest: Manifest, tag: str = "v1.0.0") -> RunSpec:
        return replace(self.pipeline.spec(tag), manifest_digest=manifest.digest)

    def run(self, settings: str, *objects: RawObject) -> tuple[RunSpec, Any]:
        """The task `reproduce`, for a manifest of these objects."""
        deployment, manifest = self.deployment(settings), self.manifest(settings, *objects)
        spec, own = self.spec(manifest), services(self.deployment(settings))
        own.ledger.put_manifest(spec, manifest)
        return spec, reproduce(services(deployment), Resolved.of(spec, "manual", "daily"))

    def prepare(self, settings: str, *objects: RawObject) -> tuple[Path, Prepared]:
        """A new checkout, prepared and not run."""
        manifest = self.manifest(settings, *objects)
        place = workspace.create(
            self.pipeline.origin.address, self.spec(manifest), manifest, dag_run="manual", min_free_mb=1
        )
        program = self.dvc(place.checkout)
        raw = RawObjects(self.client, pipeline_caches.raw_cache(PIPELINE))
        return place.checkout, prepare(place.checkout, manifest, program, raw)

    def checkout(self, to: Path, tag: str = "v1.0.0") -> Path:
        """A checkout of a release alone, as `make release` examines it."""
        spec = self.pipeline.spec(tag)
        mirror = git.mirror(self.pipeline.origin.address, Release(tag, spec.commit), to.parent / "mirrors")
        git.checkout(mirror, spec.commit, to)
        return to

    def dvc(self, checkout: Path) -> Dvc:
        own = self.pipeline.deployment_dvc
        return Dvc.of(checkout, own, own, checkout.parent / "cache", {})


def changed(checkout: Path) -> list[str]:
    """What Git says of a checkout."""
    done = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()
