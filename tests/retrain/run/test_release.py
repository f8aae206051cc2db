from typing import Any

import pytest

from retrain.errors import MovedTagError, NoEarlierReleaseError, NoPinError, TagGrammarError
from retrain.run.release import Pin, Release, check_tag, confirm

A, B = "a" * 40, "b" * 40
ONE, TWO = Release("v1.0.0", A), Release("v1.1.0", B)


@pytest.mark.parametrize("tag", ["v0.0.1", "taxi@v1.2.3", "ml/taxi/v1.0.0", "2026-11-27", "trial-1", "x" * 128])
def test_a_release_has_a_name_that_git_takes_for_a_tag(tag: str) -> None:
    assert check_tag(tag) == Release(tag, A).tag == tag


@pytest.mark.parametrize(
    "tag",
    [
        "v1.2.3\n",
        "v1.2.3\nx",
        "--upload-pack=x",
        "-v1.0.0",
        "",
        "v1.2.3;x",
        "v1..2",
        "a@{0}",
        "a//b",
        "a/.b",
        "/a",
        "a/",
        "a.",
        "a.lock",
        "a.lock/b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a*",
        "a?",
        "a[b]",
        "a\\b",
        "\x1b[31m",
        "x" * 129,
        None,
        7,
    ],
)
def test_a_name_that_git_or_a_shell_would_misread_is_no_release(tag: Any) -> None:
    with pytest.raises(TagGrammarError):
        Release(tag, A)


def test_a_moved_tag_is_refused_with_both_commits() -> None:
    with pytest.raises(MovedTagError, match=f"(?s){A}.*{B}"):
        confirm(ONE, B)


def test_rolling_back_returns_to_what_was_live_before() -> None:
    assert Pin(ONE).moved_to(TWO).rolled_back() == Pin(ONE)


def test_releasing_what_is_live_changes_nothing() -> None:
    pin = Pin(ONE).moved_to(TWO)
    assert pin.moved_to(TWO) is pin


def test_releasing_a_tag_again_at_another_commit_is_refused() -> None:
    with pytest.raises(MovedTagError):
        Pin(ONE).moved_to(TWO).moved_to(Release("v1.0.0", B))


def test_a_rollback_with_nothing_before_says_so() -> None:
    with pytest.raises(NoEarlierReleaseError, match=r"v1\.0\.0"):
        Pin(ONE).rolled_back()


def test_a_pin_survives_its_variable() -> None:
    pin = Pin(ONE).moved_to(TWO)
    assert Pin.from_json(pin.to_json(), "x") == pin


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("v1.0.0", id="a bare tag"),
        pytest.param('{"live": {"tag": "v1.0.0"}, "previous": []}', id="no commit"),
        pytest.param('{"live": {"tag": "v1.0.0", "commit": "HEAD"}, "previous": []}', id="a branch for a commit"),
        pytest.param("[]", id="a list"),
    ],
)
def test_a_variable_that_is_no_pin_says_what_to_run(text: str) -> None:
    with pytest.raises(NoPinError):
        Pin.from_json(text, "trip_duration_release")


def test_no_pin_says_what_to_run() -> None:
    with pytest.raises(NoPinError, match="make release TAG="):
        Pin.from_mapping(None, "trip_duration_release")
