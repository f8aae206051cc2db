"""As of which moment packages are resolved."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrain.work.environments.definition import EnvironmentDefinition, PackageSettings

COMMITTED = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("as_of", "limit"),
    [("commit", COMMITTED), ("today", None), ("2024-02-29", datetime(2024, 3, 1, tzinfo=UTC))],
)
def test_the_limit_is_that_of_the_commit_or_none_or_the_end_of_a_day(as_of: str, limit: datetime | None) -> None:
    assert EnvironmentDefinition(Path(), settings=PackageSettings(as_of=as_of), committed=COMMITTED).limit == limit


def test_a_folder_that_is_no_checkout_has_no_limit() -> None:
    assert EnvironmentDefinition(Path()).limit is None
