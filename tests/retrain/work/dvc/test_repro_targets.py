"""The targets of a pipeline's file as `dvc repro` gets them, and the refusal of one that it does not know."""

from __future__ import annotations

from typing import Literal

import pytest

from retrain.errors import NotAPipelineError
from retrain.work.dvc.errors import TargetError
from retrain.work.dvc.repro_targets import ALL, arguments, refused


@pytest.mark.parametrize(
    ("targets", "place", "expected"),
    [
        ((), ".", ()),
        (("train", "each@a:b", "prep/dvc.yaml"), ".", ("train", "each@a:b", "prep/dvc.yaml")),
        ((), "ml/taxi", ("ml/taxi/dvc.yaml",)),
        (("train", "each@a/b"), "ml/taxi", ("ml/taxi/dvc.yaml:train", "ml/taxi/dvc.yaml:each@a/b")),
        (("dvc.yaml", "prep/dvc.yaml:clean"), "ml/taxi", ("dvc.yaml", "prep/dvc.yaml:clean")),
        ("all", "ml/taxi", (ALL,)),
    ],
)
def test_a_stage_without_a_file_is_one_of_the_folder_s_dvc_yaml(
    targets: Literal["all"] | tuple[str, ...], place: str, expected: tuple[str, ...]
) -> None:
    assert arguments(targets, place) == expected


def test_a_refused_target_names_those_like_it_else_the_files_that_have_stages() -> None:
    error = refused("fitt", ["fit"], ["dvc.yaml"], ("fitt",))
    assert isinstance(error, TargetError)
    assert "has fitt, which is no stage" in str(error)
    assert "Near it are fit." in str(error)
    assert "Its stages are in a/dvc.yaml, b/dvc.yaml." in str(refused("x", [], ["a/dvc.yaml", "b/dvc.yaml"], ("x",)))


def test_a_dvc_yaml_that_is_not_there_is_told_with_the_keys_that_name_another() -> None:
    error = refused("dvc.yaml", [], [f"{name}/dvc.yaml" for name in "abcdef"], ())
    assert isinstance(error, NotAPipelineError)
    assert "but a/dvc.yaml, b/dvc.yaml, c/dvc.yaml, d/dvc.yaml and 2 more" in str(error)
    assert "`targets: all`" in str(error)
    assert "no other dvc.yaml with a stage" in str(refused("dvc.yaml", [], [], ()))
