"""Which addresses of repositories Git may be given, and where they are."""

from __future__ import annotations

import pytest

from retrain.deployment.git_address import parsed, without_user


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "user"),
    [
        ("https://Git.Example.org/team/x.git", "https", "git.example.org", None, ""),
        ("https://git.example.org:443/x", "https", "git.example.org", None, ""),
        ("http://user@127.0.0.1:8080/x.git", "http", "127.0.0.1", 8080, "user"),
        ("ssh://git@host:2222/~/x.git", "ssh", "host", 2222, "git"),
        ("git@github.com:team/x.git", "ssh", "github.com", None, "git"),
        ("host:x.git", "ssh", "host", None, ""),
        ("git://host/x", "git", "host", None, ""),
        ("/srv/git/x.git", "file", "", None, ""),
        ("origin.git", "file", "", None, ""),
        ("./a:b", "file", "", None, ""),
        ("file:///srv/x.git", "file", "", None, ""),
        ("https://[::1]:8443/x", "https", "::1", 8443, ""),
    ],
)
def test_an_address_has_the_parts_that_git_sees(url: str, scheme: str, host: str, port: int | None, user: str) -> None:
    found = parsed(url)
    assert found is not None
    assert (found.scheme, found.host, found.port, found.user) == (scheme, host, port, user)


@pytest.mark.parametrize(
    "url",
    ["", " ", "-x", "--upload-pack=touch x", "ext::sh -c x", "fd::7", "ftp://host/x", "https:///x", "https://-host/x",
     "ssh://-oProxyCommand=x/y", "-oProxyCommand=x:y", "ssh://-u@host/x", "https://host:port/x", "a\nb", "file://host/x"],
)  # fmt: skip
def test_an_address_that_could_start_a_program_is_none(url: str) -> None:
    assert parsed(url) is None


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://user:pass@host/x", True),
        ("ssh://git:pass@host/x", True),
        ("https://ghp_0123456789abcdef@host/x", True),
        ("https://user@host/x", False),
        ("git@host:x", False),
        ("https://host/a:b@c", False),
    ],
)
def test_a_password_and_a_token_in_the_place_of_the_user_are_secrets(url: str, secret: bool) -> None:
    found = parsed(url)
    assert found is not None
    assert found.has_secret is secret


def test_only_the_user_of_an_http_address_is_taken_off() -> None:
    assert without_user("https://user@Host.org:8443/a/b.git") == "https://host.org:8443/a/b.git"
    for same in ("https://host/a@b", "git@host:a", "ssh://git@host/a", "/srv/a@b"):
        assert without_user(same) == same


def test_a_server_is_its_scheme_host_and_port() -> None:
    one, same, other = (parsed(f"https://host{port}/x") for port in ("", ":443", ":8443"))
    assert one is not None
    assert same is not None
    assert other is not None
    assert one.is_at(same)
    assert not one.is_at(other)
