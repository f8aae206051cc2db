"""The facts that a local index gives back are those that it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.store import ledger_index
from retrain.store.ledger_index import DocumentFacts, DocumentVersion

VERSION = DocumentVersion("dt=2020-03-05/key/receipt.json", "e" * 32, 7)


@pytest.mark.parametrize(
    "facts", [(), ("",), ("", ""), ("one\ttwo\n", "drei\u00df"), ("a name that is no UTF-8: \udcff",)], ids=ascii
)
def test_facts_are_the_same_after_the_index_was_closed(tmp_path: Path, facts: DocumentFacts) -> None:
    with ledger_index.opened(tmp_path, "s3://ledger", "taxi") as index:
        index.keep("form 1", {VERSION: facts})
    with ledger_index.opened(tmp_path, "s3://ledger", "taxi") as index:
        assert index.known("form 1", [VERSION]) == {VERSION.key: facts}


@pytest.mark.parametrize(
    "other", [DocumentVersion(VERSION.key, "f" * 32, 7), DocumentVersion(VERSION.key, VERSION.etag, 8)]
)
def test_another_version_of_a_document_is_not_known(tmp_path: Path, other: DocumentVersion) -> None:
    with ledger_index.opened(tmp_path, "s3://ledger", "taxi") as index:
        index.keep("form 1", {VERSION: ("fact",)})
        assert index.known("form 1", [other]) == {}
        assert index.known("form 2", [VERSION]) == {}


def test_pipelines_of_one_name_in_two_ledgers_have_two_indexes(tmp_path: Path) -> None:
    with ledger_index.opened(tmp_path, "s3://ledger", "taxi") as index:
        index.keep("form 1", {VERSION: ("fact",)})
    with ledger_index.opened(tmp_path, "s3://elsewhere/ledger", "taxi") as index:
        assert index.known("form 1", [VERSION]) == {}
