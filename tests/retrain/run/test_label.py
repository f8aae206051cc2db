"""Which names can be labels of commits without a tag."""

from __future__ import annotations

import pytest

from retrain.errors import TagGrammarError
from retrain.run.errors import LabelError
from retrain.run.label import check_label
from retrain.run.tag_pattern import THREE_NUMBERS, TagPattern


@pytest.mark.parametrize(
    "label", ["trial-1", "2026-assessment-year", "first", "team/spring", "v2-model", "maintenance"]
)
def test_any_name_of_a_tag_can_be_a_label(label: str) -> None:
    assert check_label(label, THREE_NUMBERS) == label


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("v1.2.0", r"has the form of this pipeline's tags, vX\.Y\.Z"),
        ("1a2b3c4d", "could be taken for a commit"),
        ("A" * 40, "could be taken for a commit"),
        ("main", "a name that moves"),
        ("HEAD", "a name that moves"),
        ("latest", "a name that moves"),
    ],
)
def test_a_label_that_could_be_taken_for_something_else_is_refused(label: str, why: str) -> None:
    with pytest.raises(LabelError, match=f"{label} is no label: it .*{why}"):
        check_label(label, THREE_NUMBERS)


def test_a_label_must_not_fit_the_pipelines_own_pattern() -> None:
    assert check_label("2026.3", THREE_NUMBERS)
    with pytest.raises(LabelError, match=r"\{version\}"):
        check_label("2026.3", TagPattern("{version}"))


@pytest.mark.parametrize(
    "label",
    [
        "",
        "-x",
        "--upload-pack=x",
        "a..b",
        "a@{1}",
        "a b",
        "a\nb",
        "trial\n",
        "a:b",
        "x" * 129,
        "a.lock",
        "a/",
        "ä",
        "$(touch x)",
    ],
)
def test_a_label_that_git_or_a_shell_would_misread_is_refused(label: str) -> None:
    with pytest.raises(TagGrammarError):
        check_label(label, THREE_NUMBERS)
