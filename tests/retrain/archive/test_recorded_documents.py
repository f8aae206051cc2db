"""The facts of a run's documents, as the commands over a whole ledger use them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from recorded import record

from retrain.archive import recorded_documents
from retrain.archive.history import ReadRaw
from retrain.archive.recorded_documents import RecordedDocuments
from retrain.deployment.run_settings import RunSettings
from retrain.run.manifest import Manifest, RawObject
from retrain.store import ledger_index
from retrain.store.ledger import Ledger
from retrain.store.ledger_index import DocumentVersion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_the_key_of_a_raw_object_may_hold_a_tab(tmp_path: Path) -> None:
    run = record()
    version = DocumentVersion(f"dt={run.partition}/{run.run_key}/manifest.json", "e" * 32, 7)
    ledger = Ledger(cast("S3Client", None), "s3://ledger")  # the index knows all that is asked for
    with ledger_index.opened(tmp_path, ledger.url, run.pipeline) as index:
        index.keep("manifest 1", {version: ("dt=2020-03-05/a\tb.parquet\tf00d",)})
        documents = RecordedDocuments(ledger, run.pipeline, index, {version.key: version})
        assert list(documents.read_raw([run])) == [ReadRaw("dt={partition}", {"dt=2020-03-05/a\tb.parquet": "f00d"})]


@pytest.mark.parametrize("pattern", ["dt={partition}", "{year}/{month}/{day}"])
def test_the_raw_objects_of_a_run_are_kept_with_the_pattern_of_their_partitions(pattern: str) -> None:
    settings = RunSettings(partition=pattern)
    manifest = Manifest("taxi", "2020-03-05", "s3://raw", (RawObject("2020/03/05/a", "f00d", 1, None),), settings)
    facts = recorded_documents.facts_of_manifest(manifest.to_json().encode(), "s3://ledger/manifest.json")
    assert recorded_documents.raw_of_facts(facts) == ReadRaw(pattern, {"2020/03/05/a": "f00d"})
