"""What a repository's tags say about its releases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from repositories import COMMIT, snapshot

from retrain.adoption import proposed_file, tags
from retrain.adoption.observation import Effect
from retrain.adoption.proposal import propose


@pytest.mark.parametrize(
    ("names", "key", "newest"),
    [
        pytest.param(["v1.9.0", "v1.10.0", "x"], None, "v1.10.0", id="the default"),
        pytest.param(
            ["model@v1.0.0", "model@v1.2.0", "model#prod#1", "data@v3.0.0"],
            "model@v{version}",
            "model@v1.2.0",
            id="GTO",
        ),
        pytest.param(["ml/taxi/v1.0.0"], "ml/taxi/v{version}", "ml/taxi/v1.0.0", id="a monorepo"),
        pytest.param(["0.1.47", "0.1.8", "0.1.48"], "{version}", "0.1.48", id="without v"),
        pytest.param(["v3.0", "v2.1"], "v{version}", "v3.0", id="two numbers"),
        pytest.param(["2026.03.1", "2025.12.9"], "{version}", "2026.03.1", id="a calendar"),
        pytest.param(["2026-11-27", "2026-03-01"], "{version}", "2026-11-27", id="days"),
        pytest.param(["v1.0.0", "v1.1.0", "v1.1"], None, "v1.1.0", id="a tag that moves beside the others"),
        pytest.param(["v2.0.0", "latest", "nightly-2020.01.02"], None, "v2.0.0", id="others beside the default"),
        pytest.param(["1.0", "1.1rc1"], "{version}", "1.0", id="a pre-release beside a release"),
    ],
)
def test_the_pattern_of_a_repositorys_tags_is_proposed_with_its_newest_release(
    names: list[str], key: str | None, newest: str
) -> None:
    seen = snapshot({}, tags=names)
    (found,) = tags.observations(seen)
    assert (found.effect, f"make release PIPELINE=<name> TAG={newest}" in found.fix) == (Effect.NOTED, True)
    assert f"repository.tags: {key}" in found.what if key else "repository.tags" not in found.what
    proposal = propose(seen, None, None)
    text = proposed_file.render("orders", proposal, COMMIT)
    written = proposed_file.valid("orders", text).repository
    assert (written.tags, written.prereleases) == (key, False)


def test_a_repository_with_nothing_but_prereleases_is_proposed_with_them() -> None:
    seen = snapshot({}, tags=["v1.0.0-rc.1", "v1.0.0-rc.2"])
    found = list(tags.observations(seen))
    assert [each.effect for each in found] == [Effect.NOTED, Effect.SURPRISES]
    text = proposed_file.render("orders", propose(seen, None, None), COMMIT)
    assert proposed_file.valid("orders", text).repository.prereleases


def test_tags_without_a_version_can_be_released_by_a_label() -> None:
    (found,) = tags.observations(snapshot({}, tags=["2026-assessment-year"]))
    assert (found.effect, "no tag of the repository has a version" in found.what) == (Effect.SURPRISES, True)
    assert f"COMMIT={COMMIT[:12]} AS=" in found.fix


def test_a_repository_without_tags_can_be_released_by_a_label() -> None:
    (found,) = tags.observations(snapshot({}, tags=[]))
    assert (found.effect, f"COMMIT={COMMIT[:12]} AS=" in found.fix) == (Effect.NOTED, True)


def test_a_commit_that_is_released_already_needs_no_new_tag() -> None:
    (found,) = tags.observations(replace(snapshot({}, tags=["v1.0.0", "v2.0.0"]), own_tags=("v1.0.0", "x")))
    assert (found.effect, found.fix) == (Effect.NOTED, "")
    assert "make release PIPELINE=<name> TAG=v1.0.0" in found.what


@pytest.mark.parametrize(
    ("names", "following"),
    [
        (["v1.9.0", "v1.10.0", "x"], "v1.11.0"),
        (["0.1.47"], "0.2.0"),
        (["model@v3.0"], "model@v3.1"),
        (["v1.0.0-rc.1"], "v1.1.0"),
    ],
)
def test_the_next_tag_is_proposed_after_the_newest_release(names: list[str], following: str) -> None:
    found = next(iter(tags.observations(snapshot({}, tags=names))))
    assert f"make release PIPELINE=<name> TAG={following}." in found.fix


def test_a_calendars_next_tag_is_not_guessed() -> None:
    (found,) = tags.observations(snapshot({}, tags=["2026.03.1"]))
    assert f"or this commit: make release PIPELINE=<name> COMMIT={COMMIT[:12]} AS=" in found.fix
