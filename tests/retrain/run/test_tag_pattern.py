"""Which tags are releases of a pipeline, and in which order."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from retrain.deployment.pipeline_file import load
from retrain.errors import ConfigurationError, TagGrammarError
from retrain.run.errors import PrereleaseError, TagPatternError
from retrain.run.tag_pattern import THREE_NUMBERS, TagPattern, Version

RANDOM = random.Random(2026)  # noqa: S311 - the same samples in each run


def releases(text: str | None, *tags: str, prereleases: bool = False) -> list[str]:
    return TagPattern(text, prereleases).in_order(tags)


@pytest.mark.parametrize("tag", ["v0.0.1", "v1.2.3", "v10.20.30"])
def test_without_a_pattern_a_release_is_a_version_of_three_numbers(tag: str) -> None:
    assert THREE_NUMBERS.check(tag) == tag


@pytest.mark.parametrize(
    "tag",
    [
        "1.2.3",
        "v1.2",
        "v1.2.3.4",
        "v01.2.3",
        "v2020.03.1",
        "v1.2.3-rc1",
        "v1.2.3+build",
        "v1.2.3\n",
        "--upload-pack=x",
        "main",
        "",
        "v",
        "v1.2.3;x",
        "v\u0661.2.3",
    ],
)
def test_without_a_pattern_anything_else_is_no_release(tag: str) -> None:
    assert not THREE_NUMBERS.fits(tag)
    with pytest.raises((TagGrammarError, TagPatternError, PrereleaseError)):
        THREE_NUMBERS.check(tag)


@pytest.mark.parametrize(
    ("pattern", "tag"),
    [
        ("v{version}", "v1.2.3"),
        ("v{version}", "v3.0"),
        ("v{version}", "v2020.03.1"),
        ("{version}", "0.1.47"),
        ("{version}", "2026.11.27"),
        ("{version}", "2026.3"),
        ("{version}", "2026.11.27.2"),
        ("{version}", "2026-11-27"),
        ("{version}", "2026-11-27-2"),
        ("{version}", "2026-11"),
        ("{version}", "1.4.0+linux.x86"),
        ("model@v{version}", "model@v1.0.0"),
        ("ml/taxi/v{version}", "ml/taxi/v1.0.0"),
        ("folder=model@v{version}", "folder=model@v1.0.0"),
        ("release-{version}", "release-1.0.0"),
        ("{version}-prod", "1.4.0-prod"),
        ("1{version}", "11.0.0"),
    ],
)
def test_a_pattern_takes_the_versions_that_teams_write(pattern: str, tag: str) -> None:
    assert TagPattern(pattern).check(tag) == tag


@pytest.mark.parametrize(
    ("pattern", "tag"),
    [
        pytest.param("v{version}", "v3", id="one number, which mostly moves"),
        pytest.param("{version}", "20261127", id="one number"),
        pytest.param("{version}", "1.2.3.4.5", id="five numbers"),
        pytest.param("{version}", "2026-assessment-year", id="no version"),
        pytest.param("{version}", "2026-13-01", id="no month"),
        pytest.param("{version}", "v1.2.3", id="with v"),
        pytest.param("{version}", "1.2.3-", id="nothing after the dash"),
        pytest.param("{version}", "1.2.", id="nothing after the dot"),
        pytest.param("model@v{version}", "model#prod#1", id="a stage of GTO"),
        pytest.param("model@v{version}", "model@v1.0.0!", id="a deregistration of GTO"),
        pytest.param("model@v{version}", "model@deprecated", id="a deprecation of GTO"),
        pytest.param("model@v{version}", "other@v1.0.0", id="another model"),
        pytest.param("model@v{version}", "my-model@v1.0.0", id="a longer name"),
        pytest.param("model.v{version}", "modelxv1.0.0", id="the dot is a dot"),
        pytest.param("a/{version}", "a/../1.0.0", id="a path"),
        pytest.param("{version}", "1.0.0.lock", id="no name for Git"),
        pytest.param("{version}", "1.0.0\n", id="a line's end"),
        pytest.param("{version}", "9." * 80 + "1", id="too long"),
    ],
)
def test_other_tags_are_refused(pattern: str, tag: str) -> None:
    both = TagPattern(pattern, prereleases=True)
    assert not both.fits(tag)
    with pytest.raises((TagGrammarError, TagPatternError)):
        both.check(tag)


@pytest.mark.parametrize(
    "version",
    [
        "1.4.0-rc.1",
        "1.4.0-rc1",
        "1.4.0rc1",
        "1.4.0a1",
        "1.4.0.dev0",
        "1.4.0.beta2",
        "1.4.0-alpha+x",
        "1.4.0-0",
        "1.4rc1",
    ],
)
def test_a_prerelease_is_a_release_only_if_the_file_asks_for_it(version: str) -> None:
    assert TagPattern("v{version}", prereleases=True).check(f"v{version}") == f"v{version}"
    with pytest.raises(
        PrereleaseError, match=rf"v{re.escape(version)} is a pre-release.*repository\.prereleases: true"
    ):
        TagPattern("v{version}").check(f"v{version}")


def test_without_a_pattern_a_prerelease_of_three_numbers_can_be_asked_for() -> None:
    asked = TagPattern(None, prereleases=True)
    assert asked.in_order(["v1.4.0", "v1.4.0-rc.1", "v1.4-rc.1", "v1.4.0rc1"]) == ["v1.4.0-rc.1", "v1.4.0"]


def test_the_order_is_that_of_semver() -> None:
    """The example of https://semver.org, paragraph 11."""
    expected = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    tags = [*(f"1.0.0-{each}" for each in expected), "1.0.0", "1.0.1", "1.1.0", "1.10.0", "2.0.0"]
    mixed = RANDOM.sample(tags, len(tags))
    assert releases("{version}", *mixed, prereleases=True) == tags


def test_the_order_of_short_prereleases_is_that_of_pip() -> None:
    tags = ["1.0.dev1", "1.0.dev10", "1.0a1", "1.0b2", "1.0rc9", "1.0RC10", "1.0", "1.1.dev0", "1.1"]
    mixed = RANDOM.sample(tags, len(tags))
    assert releases("{version}", *mixed, prereleases=True) == tags


def test_the_newest_release_is_the_highest_version_and_not_the_last_in_the_alphabet() -> None:
    assert THREE_NUMBERS.newest(["v0.9.0", "v0.10.0", "v0.2.11"]) == "v0.10.0"
    assert TagPattern("{version}").newest(["2026.11.3", "2026.2.28", "2026.09.1"]) == "2026.11.3"


def test_tags_of_another_form_are_no_releases() -> None:
    assert THREE_NUMBERS.newest(["v1.0.0", "2026.1", "v2.0.0-rc.1", "model@v3.0.0"]) == "v1.0.0"
    assert THREE_NUMBERS.newest(["latest"]) is None
    assert THREE_NUMBERS.newest(["v1.0.0", f"v{'9' * 200}.0.0"]) == "v1.0.0"  # longer than a release's name may be


def test_the_order_is_total_and_does_not_depend_on_the_order_of_the_tags() -> None:
    parts = ["0", "1", "01", "2", "10", "2026", "11"]
    ends = ["", "-rc.1", "-rc.10", "-rc.9", "-1", "-x", "rc1", "a2", ".dev3", "+b", "-rc.1+b"]
    texts = {".".join(RANDOM.choices(parts, k=RANDOM.randint(2, 4))) + RANDOM.choice(ends) for _ in range(400)}
    texts |= {"2026-11-27", "2026-11", "2026-11-27-3", "2026.11.27"}
    versions = [version for text in texts if (version := Version.read(text))]
    assert len(versions) == len(texts)
    ordered = sorted(versions)
    assert all(low < high and not high < low for low, high in pairwise(ordered))
    for _ in range(20):
        assert sorted(RANDOM.sample(versions, len(versions))) == ordered
    for version in versions:
        final = Version.read(re.split(r"[+]", version.text)[0])
        if version.is_final and final:
            of_it = [each for each in versions if not each.is_final and each.numbers == version.numbers]
            assert all(each < version for each in of_it)


def test_a_refusal_names_the_tag_the_pattern_and_the_ways_out() -> None:
    with pytest.raises(TagPatternError) as refused:
        TagPattern("taxi@v{version}").check("1.2.0")
    assert str(refused.value) == (
        "`1.2.0` is no release of this pipeline: repository.tags is `taxi@v{version}`. Name a tag such as taxi@v1.4.0, correct "
        "repository.tags, or release the commit under a label: make release COMMIT=<commit> AS=<label>"
    )
    with pytest.raises(TagPatternError, match=r"is `\{version\}`, and 2026-assessment-year is no version"):
        TagPattern("{version}").check("2026-assessment-year")
    with pytest.raises(TagPatternError, match=r"without repository\.tags its releases are tags vX\.Y\.Z"):
        THREE_NUMBERS.check("main")


def deployed(folder: Path, **repository: object) -> TagPattern:
    document = {
        "schema_version": 1,
        "description": "A pipeline.",
        "owner": "them",
        "schedule": {"cron": "0 6 * * *", "start_date": "2020-01-01"},
        "repository": {"url": "https://git.example.org/team/taxi.git", **repository},
        "raw": {"url": "s3://raw-bucket/raw", "window_days": 1},
        "store": "s3://store-bucket/dvc",
        "ledger": "s3://ledger-bucket/ledger",
        "tracking": {"experiment": "taxi"},
        "slack": {"channel": "#alerts"},
    }
    file = folder / "taxi.yaml"
    file.write_text(yaml.safe_dump(document))
    return TagPattern.of(load(file))


def test_the_pattern_of_a_file_has_the_pipelines_name(tmp_path: Path) -> None:
    assert deployed(tmp_path, tags="{name}@v{version}").check("taxi@v1.0.0") == "taxi@v1.0.0"
    assert deployed(tmp_path) == THREE_NUMBERS
    assert deployed(tmp_path, prereleases=True).check("v1.0.0-rc.1")


@pytest.mark.parametrize(
    "tags",
    [
        "v",
        "{version}{version}",
        "{name}{name}{version}",
        "{version}{stage}",
        "{version",
        "-{version}",
        "a b{version}",
        "a..{version}",
        "a//{version}",
        "{version}/",
        "{version}.lock",
        "a#{version}",
        "{version}\n",
        "x" * 200 + "{version}",
    ],
)
def test_a_pattern_that_is_none_is_refused_with_an_example(tmp_path: Path, tags: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"(?s)repository\.tags.*is not a pattern of Git tags.*\{name\}@v\{version\}"
    ):
        deployed(tmp_path, tags=tags)
