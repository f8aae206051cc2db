"""The document that says what a stage fetched."""

from __future__ import annotations

import json

import pytest

from retrain.errors import RecordError, RecordVersionError
from retrain.inputs.fetched_stage import FetchedStage
from retrain.store.ledger import RECORD
from retrain.store.receipt import Proof
from retrain.work.dvc.outputs import Output

FETCHED = FetchedStage(
    "prep/dvc.yaml:get@a",
    "2020-03-06T06:00:00+00:00",
    "cmd: x\n",
    (Output("prep/dvc.yaml:get@a", "raw.csv", "1" * 32, 3),),
    (Proof(f"files/md5/11/{'1' * 30}", 3, "1" * 32, "etag"),),
)


def test_a_document_is_the_same_after_it_was_written_and_read() -> None:
    assert FetchedStage.from_json(FETCHED.to_json(), "it") == FETCHED


def test_each_stage_has_a_name_of_its_own_and_none_that_of_a_run_record() -> None:
    """The ledger knows a recorded run by a key that ends in /run.json."""
    assert FETCHED.name == "stage-prep%2Fdvc.yaml%3Aget@a.json"
    run = FetchedStage(RECORD.removesuffix(".json"), "", "", (), ())
    assert not f"fetched/{run.name}".endswith(f"/{RECORD}")


def test_a_document_of_a_newer_deployment_is_refused_by_its_version() -> None:
    newer = json.dumps({**json.loads(FETCHED.to_json()), "schema_version": 2}).encode()
    with pytest.raises(RecordVersionError, match="schema_version 2"):
        FetchedStage.from_json(newer, "it")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"schema_version": 1}', b'{"schema_version": 1, "stage": "a", "outputs": [1]}']
)
def test_what_is_no_such_document_is_an_error_of_ours(text: bytes) -> None:
    with pytest.raises(RecordError, match=r"^s3://l/x does not say what a stage fetched"):
        FetchedStage.from_json(text, "s3://l/x")
