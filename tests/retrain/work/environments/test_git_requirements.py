"""The addresses of packages in Git, in the forms in which locks have them."""

from __future__ import annotations

import pytest

from retrain.work.environments import git_requirements


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://host/team/x.git", "git+https://host/team/x.git@0123#subdirectory=y"),
        ("git+https://host/team/x.git", "git+https://host/team/x.git@0123#subdirectory=y"),
        ("git@host:team/x.git", "git+ssh://git@host/team/x.git@0123#subdirectory=y"),
        ("ssh://git@host:2222/team/x.git", "git+ssh://git@host:2222/team/x.git@0123#subdirectory=y"),
        ("https://${USER}:${TOKEN}@host/x.git", "git+https://${USER}:${TOKEN}@host/x.git@0123#subdirectory=y"),
    ],
)
def test_every_form_of_an_address_becomes_a_url(url: str, wanted: str) -> None:
    assert git_requirements.address(url, "0123", "y") == wanted


def test_without_reference_and_folder_there_is_only_the_address() -> None:
    assert git_requirements.address("git@host:x.git", None) == "git+ssh://git@host/x.git"
