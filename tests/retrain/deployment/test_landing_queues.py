"""Which pipelines may read a queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from retrain.deployment.landing_queues import readers, shared
from retrain.deployment.pipeline_file import load

ROOT = Path(__file__).resolve().parents[3]
QUEUES = "https://sqs.us-east-1.amazonaws.com/123456789012/retrain-landed-"
ADDRESSES = {
    "RETRAIN_REPOSITORY": "origin.git",
    "RETRAIN_RAW_BUCKET": "raw-bucket",
    "RETRAIN_STORE_BUCKET": "store-bucket",
    "RETRAIN_LEDGER_BUCKET": "ledger-bucket",
    "RETRAIN_SLACK_CHANNEL": "#alerts",
    "RETRAIN_LANDED_QUEUES": QUEUES,
}


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses that a deployment sets."""
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)


def pipeline(folder: Path, name: str, queue: str, **changes: Any) -> Any:
    document = yaml.safe_load((ROOT / "dags" / "pipelines" / "trip_duration.yaml").read_text())
    raw = {**document["raw"], "queue": queue}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({**document, "trigger": "event", "raw": raw, **changes}))
    return load(folder / f"{name}.yaml")


def test_queues_made_of_the_variable_and_the_pipelines_name_are_shared_by_nobody(tmp_path: Path) -> None:
    first = pipeline(tmp_path, "first", "${RETRAIN_LANDED_QUEUES}first")
    second = pipeline(tmp_path, "second", "${RETRAIN_LANDED_QUEUES}second")
    assert first.raw.queue == f"{QUEUES}first"
    known = readers(tmp_path)
    assert known == {f"{QUEUES}first": ["first.yaml"], f"{QUEUES}second": ["second.yaml"]}
    assert shared(first, known) is None
    assert shared(second, known) is None


def test_a_queue_of_several_is_refused_to_each_with_the_names_of_the_others(tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        pipeline(tmp_path, name, f"{QUEUES}first")
    said = str(shared(load(tmp_path / "second.yaml"), readers(tmp_path)))
    assert f"second.yaml: raw.queue {QUEUES}first is the queue of first.yaml, third.yaml too." in said
    assert "${RETRAIN_LANDED_QUEUES}second" in said


def test_a_pipeline_that_no_message_starts_and_a_broken_file_take_no_messages(tmp_path: Path) -> None:
    first = pipeline(tmp_path, "first", f"{QUEUES}first")
    pipeline(tmp_path, "second", f"{QUEUES}first", trigger="schedule")
    (tmp_path / "third.yaml").write_text("raw: none")
    assert shared(first, readers(tmp_path)) is None
