from pathlib import Path

import pytest

from retrain.adoption import address
from retrain.adoption.errors import AddressRefusedError

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/team/repository.git",
        "ssh://git@git.example.org:2222/team/repository.git",
        "git@git.example.org:team/repository.git",
    ],
)
def test_an_address_without_a_secret_is_given_to_git_as_it_is(url: str) -> None:
    assert address.checked(url) == url


def test_a_folder_is_given_to_git_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "origin").mkdir()
    monkeypatch.chdir(tmp_path)
    assert address.checked("origin") == str(tmp_path / "origin")


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{TOKEN}@git.example.org/team/repository.git",
        f"https://{TOKEN}@git.example.org/team/repository.git",
        "https://a1b2c3d4e5@dev.azure.example/team/_git/repository",
        f"https://git.example.org/team/repository.git?private_token={TOKEN}",
        f"ssh://user:{TOKEN}@git.example.org/team/repository.git",
        f"{TOKEN}@git.example.org:team/repository.git",
        f"user:{TOKEN}@git.example.org/team/repository.git",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(AddressRefusedError) as refused:
        address.checked(url)
    for secret in (TOKEN, "a1b2c3d4e5"):
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "--upload-pack=touch /tmp/x",
        "-x",
        "ext::sh -c 'touch /tmp/x'",
        "fd::17/foo",
        "ext://sh",
        "ftp://git.example.org/r.git",
        "https://",
        "https://-oProxyCommand=x/r",
        "ssh://-oProxyCommand=x/r",
        "file://elsewhere/etc",
        "no/such/folder",
        "~no-such-user/r",
        "a" * 5000,
        "file:///" + "a" * 5000,
        "https://git.example.org/r\n.git",
    ],
)
def test_options_other_transports_and_broken_addresses_are_refused(url: str) -> None:
    with pytest.raises(AddressRefusedError):
        address.checked(url)


@pytest.mark.parametrize("name", ["v1.2.0", "main", "feature/x", "model@v1.0.0", "0123456789abcdef"])
def test_names_of_tags_branches_and_commits_are_taken(name: str) -> None:
    assert address.checked_reference(name) == name


@pytest.mark.parametrize("name", ["--upload-pack=x", "-x", "a..b", "a b", "a:b", "refs/heads/a\n", TOKEN])
def test_a_reference_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(AddressRefusedError):
        address.checked_reference(name)
