"""Which requirements have a fixed version."""

from __future__ import annotations

import pytest

from retrain.work.environments import fixed_versions


@pytest.mark.parametrize(
    ("line", "names"),
    [("a==1", {"a"}), ("A_b===1", {"a-b"}), ("a @ https://a.example/a.whl", {"a"}), ("a>=1", set()), ("a==1.*", set())],
)
def test_a_version_counts_as_pinned_only_if_it_is_one(line: str, names: set[str]) -> None:
    assert fixed_versions.pinned([line]) == names


def test_only_requirements_that_name_a_package_have_a_name() -> None:
    assert fixed_versions.names(["A_b>=1", "-e .", "git+https://a.example/x"]) == {"a-b"}
