"""A judged day as the ledger keeps it, which every later day is judged by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrain.errors import RecordError, ReportError
from retrain.judge.judged_days import KeptDay

OLD = sorted((Path(__file__).parents[2] / "contract/ledger_of_899b122/ledger/trips/judged").glob("*.json"))


@pytest.mark.parametrize("file", OLD, ids=lambda file: file.stem[:16])
def test_a_day_is_written_as_it_was_read(file: Path) -> None:
    document = json.loads(file.read_text())
    assert json.loads(json.dumps(KeptDay.from_json(document, file.stem[:10]).to_json())) == document


@pytest.mark.parametrize("field", ["day", "release", "run_key"])
def test_an_event_without_a_field_is_named_with_it(field: str) -> None:
    document = json.loads(OLD[0].read_text())
    del document[field]
    with pytest.raises(RecordError, match=rf"judged/2020-03-05 has no '{field}'"):
        KeptDay.from_json(document, "2020-03-05")


def test_an_event_whose_day_lacks_its_features_is_named() -> None:
    document = json.loads(OLD[0].read_text())
    del document["day"]["features"]
    with pytest.raises(ReportError, match=r"judged/2020-03-05 is not a judged day: KeyError\('features'\)"):
        KeptDay.from_json(document, "2020-03-05")
