"""A ledger that commit 899b122 wrote: its objects for the buckets of an S3 server, its origin, its pipeline's file."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain.deployment.pipeline_file import Deployment, load
from retrain.store import s3 as store

DATA = Path(__file__).with_name("ledger_of_899b122")
PIPELINE = "trips"
_NAMES = "{experiment: trips, model: trips}"
_RUN_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class OldRun:
    """One recorded run as its files say: the record's fields, and the bytes of its entry's documents."""

    record: dict[str, Any]
    folder: Path

    @property
    def run_key(self) -> str:
        return str(self.record["run_key"])

    def document(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    @property
    def receipt_keys(self) -> set[str]:
        """The store's keys that its receipt lists."""
        return {item["key"] for item in json.loads(self.document("receipt.json"))["objects"]}

    def files(self) -> dict[str, str]:
        """Each file of its outputs that the store has: path -> MD5. Folders are expanded by their listings."""
        found: dict[str, str] = {}
        for path, md5 in self.record["outputs"].items():
            key = f"files/md5/{md5[:2]}/{md5[2:]}"
            if key not in self.receipt_keys:
                continue
            if md5.endswith(".dir"):
                for entry in json.loads((DATA / "store" / key).read_bytes()):
                    found[f"{path}/{entry['relpath']}"] = entry["md5"]
            else:
                found[path] = md5
        return found


def runs() -> list[OldRun]:
    """Every recorded run, in the order of recording."""
    files = (DATA / "ledger" / PIPELINE).glob("dt=*/*/run.json")
    found = [OldRun(json.loads(file.read_bytes()), file.parent) for file in files]
    return sorted(found, key=lambda run: str(run.record["recorded_at"]))


def task_results(name: str) -> dict[str, Any]:
    """What each task of one run returned, by task id."""
    results: dict[str, Any] = json.loads((DATA / "task_results" / f"{name}.json").read_bytes())
    return results


def fill_buckets(client: Any) -> None:
    """Fill the ledger's three buckets as they were. They are made, or emptied first."""
    deployment = load(DATA / f"{PIPELINE}.yaml", {"OLD_LEDGER_ORIGIN": "nowhere"})
    for url, name in ((deployment.raw.url, "raw"), (deployment.store, "store"), (deployment.ledger, "ledger")):
        bucket, prefix = store.split(url)
        _empty_bucket(client, bucket)
        for path in _in_order(DATA / name):
            client.put_object(Bucket=bucket, Key=f"{prefix}/{path}", Body=(DATA / name / path).read_bytes())


def deploy(folder: Path, *, names: str) -> tuple[Deployment, dict[str, str]]:
    """Clone the ledger's origin below `folder`, and write the pipeline's file there.

    Args:
        folder: where `origin.git` and `pipelines/` go.
        names: the MLflow experiment and model, so that each test has its own.

    Returns:
        The deployment, and the environment variables with which commands find it.
    """
    origin, pipelines = folder / "origin.git", folder / "pipelines"
    subprocess.run(["git", "clone", "--quiet", "--bare", DATA / "origin.bundle", origin], check=True)
    pipelines.mkdir()
    file = pipelines / f"{PIPELINE}.yaml"
    text = (DATA / file.name).read_text("utf-8")
    assert _NAMES in text
    file.write_text(text.replace(_NAMES, f"{{experiment: {names}, model: {names}}}"), "utf-8")
    variables = {"OLD_LEDGER_ORIGIN": str(origin), "RETRAIN_PIPELINES": str(pipelines)}
    return load(file, variables), variables


def _empty_bucket(client: Any, bucket: str) -> None:
    if bucket not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=entry["Key"])


def _in_order(folder: Path) -> Iterator[str]:
    """The files below a folder: those of a run in the order of recording, its record last."""
    recorded = {run.run_key: number for number, run in enumerate(runs())}

    def place(path: str) -> tuple[int, bool, str]:
        key = _RUN_KEY.search(path)
        return (recorded[key.group()] if key else -1, path.endswith("/run.json"), path)

    yield from sorted((str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()), key=place)
