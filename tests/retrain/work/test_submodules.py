"""Where submodules come from, and which of them no run fetches. Nothing is read."""

from __future__ import annotations

import pytest

from retrain.work.errors import SubmoduleRefusedError
from retrain.work.origin import Origin
from retrain.work.submodules import Submodule, declared

COMMIT = "c" * 40
OWN = Origin("https://host/team/x.git", "team_git", {"KEY": "value"})


def of(url: str, origin: Origin = OWN, path: str = "libs/a", **more: str) -> list[Submodule]:
    settings = {"path": path, "url": url, **more}
    return declared({f"submodule.a.b.{key}": value for key, value in settings.items()}, {path: COMMIT}, origin)


@pytest.mark.parametrize(
    ("own", "url", "expected"),
    [
        ("https://host/team/x.git", "../lib.git", "https://host/team/lib.git"),
        ("https://host/team/x.git/", "../../other/lib", "https://host/other/lib"),
        ("https://host/team/x.git", "./lib", "https://host/team/x.git/lib"),
        ("git@host:team/x.git", "../lib.git", "git@host:team/lib.git"),
        ("git@host:x.git", "../lib.git", "git@host:lib.git"),
        ("ssh://git@host:2222/team/x.git", "../lib.git", "ssh://git@host:2222/team/lib.git"),
        ("/srv/git/x.git", "../lib.git", "/srv/git/lib.git"),
    ],
)
def test_a_relative_address_is_resolved_against_the_origin(own: str, url: str, expected: str) -> None:
    assert of(url, Origin(own))[0].origin.url == expected


@pytest.mark.parametrize(
    ("url", "expected", "access"),
    [
        ("https://host/other/lib.git", "https://host/other/lib.git", True),
        ("https://someone@host/lib.git", "https://host/lib.git", True),
        ("git@host:other/lib.git", "https://host/other/lib.git", True),
        ("ssh://git@host/other/lib.git", "https://host/other/lib.git", True),
        ("https://other/lib.git", "https://other/lib.git", False),
        ("https://host:8443/lib.git", "https://host:8443/lib.git", False),
        ("http://host/lib.git", "http://host/lib.git", False),
        ("https://host.evil.org/lib.git", "https://host.evil.org/lib.git", False),
        ("git@other:lib.git", "git@other:lib.git", False),
    ],
)
def test_the_access_of_the_origin_goes_to_its_own_server_alone(url: str, expected: str, access: bool) -> None:
    found = of(url)[0].origin
    assert found.url == expected
    assert (found.connection, bool(found.access)) == (("team_git", True) if access else ("", False))


@pytest.mark.parametrize(
    ("path", "url", "why"),
    [
        ("../outside", "https://host/x", "'../outside' does not stay inside"),
        ("/etc/x", "https://host/x", "'/etc/x' does not stay inside"),
        ("a/../../b", "https://host/x", "does not stay inside"),
        ("a/.GIT/hooks", "https://host/x", "does not stay inside"),
        ("-x", "https://host/x", "'-x' begins like an option"),
        ("libs/a", "--upload-pack=touch x", "libs/a has the address '--upload-pack=touch x'"),
        ("libs/a", "-u", "libs/a has the address '-u'"),
        ("libs/a", "ext::sh -c x", "libs/a has the address 'ext::sh -c x'"),
        ("libs/a", "ftp://host/x", "libs/a has the address 'ftp://host/x'"),
        ("libs/a", "/etc", "a folder of this machine"),
        ("libs/a", "file:///etc", "a folder of this machine"),
        ("libs/a", "../../../../other.org/x", "leads above the server of https://host/team/x.git"),
    ],
)
def test_what_leads_out_of_the_checkout_or_starts_a_program_is_refused_by_name(path: str, url: str, why: str) -> None:
    with pytest.raises(SubmoduleRefusedError, match=why):
        of(url, path=path)


def test_a_secret_in_the_address_of_a_submodule_is_refused_and_not_shown() -> None:
    with pytest.raises(SubmoduleRefusedError, match="submodule libs/a on host has a password") as refused:
        of("https://user:s3cret@host/x")
    assert "s3cret" not in str(refused.value)


def test_a_submodule_that_git_does_not_update_is_left_out() -> None:
    assert of("https://host/x", update="none") == []
    assert declared({}, {"stray": COMMIT}, OWN) == []
    assert declared({"submodule.a.path": "gone", "submodule.a.url": "https://host/x"}, {}, OWN) == []
