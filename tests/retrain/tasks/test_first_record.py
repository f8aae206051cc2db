"""Metrics files that are written again from the recorded numbers."""

from __future__ import annotations

import pytest

from retrain.tasks.first_record import nested


@pytest.mark.parametrize(
    ("numbers", "document"),
    [
        ({}, {}),
        (
            {"rows": 3.0, "model.mae": 4.1, "model.deep.r2": 0.5},
            {"rows": 3.0, "model": {"mae": 4.1, "deep": {"r2": 0.5}}},
        ),
        ({"model": 1.0, "model.mae": 4.1}, {"model": 1.0, "model.mae": 4.1}),
    ],
)
def test_numbers_are_put_back_into_their_sections(numbers: dict[str, float], document: dict[str, object]) -> None:
    assert nested(numbers) == document
