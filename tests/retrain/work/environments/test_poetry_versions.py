"""Poetry's version constraints."""

from __future__ import annotations

import pytest

from retrain.work.environments import poetry_versions


@pytest.mark.parametrize(
    ("constraint", "allowed", "refused"),
    [
        ("^1.2.3", "1.9", "2.0"),
        ("^0.2.3", "0.2.9", "0.3"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0", "0.9", "1.0"),
        ("~1.2.3", "1.2.9", "1.3"),
        ("~1", "1.9", "2"),
        ("~=1.2", "1.9", "2"),
        ("1.2.*", "1.2.9", "1.3"),
        ("1.2.3", "1.2.3", "1.2.4"),
        (">=1,<2", "1.5", "2"),
        (">=1 <2", "1.5", "2"),
        ("<1 || >=3", "3.1", "2"),
        (">=3.8, !=3.9.7", "3.9.8", "3.9.7"),
    ],
)
def test_a_constraint_allows_as_poetry_says(constraint: str, allowed: str, refused: str) -> None:
    assert poetry_versions.allows(constraint, allowed)
    assert not poetry_versions.allows(constraint, refused)


@pytest.mark.parametrize("version", ["0.1", "7", "1.0rc1"])
def test_a_star_allows_everything(version: str) -> None:
    assert poetry_versions.allows("*", version)


def test_a_constraint_that_cannot_be_read_allows_nothing() -> None:
    assert not poetry_versions.allows("^one", "1")
