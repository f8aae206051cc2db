"""Pipelines whose only stage sleeps: one small DVC repository, and a pipeline file for each."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from foreign_repository import ForeignOrigin, commit, git

RELEASE = "v1.0.0"
_FILES = {
    "dvc.yaml": """
stages:
  train:
    cmd: python train.py
    deps: [train.py, manifest.json]
    params:
      - run.yaml: [partition]
      - params.yaml: [seconds]
    outs: [model.txt]
    metrics:
      - metrics.json: {cache: false}
""",
    "train.py": """
import json, pathlib, re, threading

seconds = float(re.search(r"seconds: (.+)", pathlib.Path("params.yaml").read_text())[1])
threading.Event().wait(seconds)
pathlib.Path("model.txt").write_text("trained\\n")
pathlib.Path("metrics.json").write_text(json.dumps({"seconds": seconds}))
""",
    "requirements.txt": "humanize==4.12.3\n",
    ".dvc/config": "",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/model.txt\n/run.yaml\n/manifest.json\n",
}


def make_sleeping_origin(folder: Path, seconds: float) -> ForeignOrigin:
    """A bare repository with one release, whose stage `train` takes `seconds`."""
    work, origin = folder / "work", folder / "origin.git"
    git("init", "--quiet", "--initial-branch=main", str(work))
    commit(work, {**_FILES, "params.yaml": f"seconds: {seconds}\n"}, "Train for a while")
    git("-C", str(work), "tag", RELEASE)
    git("clone", "--quiet", "--bare", str(work), str(origin))
    return ForeignOrigin(origin)


def write_pipelines(folder: Path, names: list[str], origin: ForeignOrigin) -> None:
    """A pipeline file for each name. All read the same raw data; store and experiment are each one's own."""
    folder.mkdir()
    for name in names:
        document = {
            "schema_version": 1,
            "description": "Sleeps as long as a training takes.",
            "owner": "load",
            # From today on, so that no scheduled run comes between.
            "schedule": {"cron": "0 6 * * *", "start_date": datetime.now(UTC).date()},
            "repository": {"url": str(origin.path)},
            "raw": {"url": "s3://${RETRAIN_RAW_BUCKET}/raw/load", "window_days": 1, "poke_seconds": 2},
            "store": f"s3://${{RETRAIN_STORE_BUCKET}}/{name}",
            "ledger": "s3://${RETRAIN_LEDGER_BUCKET}/ledger",
            "limits": {"retries": 2, "retry_seconds": 1},
            "tracking": {"experiment": name},
            "slack": {"channel": "${RETRAIN_SLACK_CHANNEL}"},
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
