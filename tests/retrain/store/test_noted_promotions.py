"""A promotion as the ledger keeps it: the JSON that every deployment has written, and that rebuild and the watch read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrain.errors import RecordError
from retrain.store.promotions import NotedPromotion

RUN_KEY = "f8d0d5548b74aea233bcc582f4fecb08b2731151a3db7ad24588436f050bfa3f"
OLD = sorted((Path(__file__).parents[2] / "contract/ledger_of_899b122/ledger/trips/promotions").glob("*.json"))


def test_the_first_promotion_has_no_version_before_it() -> None:
    promotion = NotedPromotion(
        "2020-03-05", RUN_KEY, "1", None, "mae 5.000 beats the baselines; there was no champion."
    )
    assert NotedPromotion.from_json(json.loads(OLD[0].read_text()), OLD[0].stem) == promotion


@pytest.mark.parametrize("file", OLD, ids=lambda file: file.stem[:16])
def test_a_promotion_is_written_as_it_was_read(file: Path) -> None:
    document = json.loads(file.read_text())
    promotion = NotedPromotion.from_json(document, file.stem)
    assert (promotion.name, promotion.to_json()) == (file.stem, document)


@pytest.mark.parametrize("field", ["from", "to", "reason", "run_key"])
def test_an_event_without_a_field_is_named_with_it(field: str) -> None:
    document = json.loads(OLD[0].read_text())
    del document[field]
    with pytest.raises(RecordError, match=rf"promotions/2020-03-05-x has no '{field}'"):
        NotedPromotion.from_json(document, "2020-03-05-x")
