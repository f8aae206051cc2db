"""Data that only the release's own remote has: named, and never a stage that fails for it at 6 in the morning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from retrain.errors import TrackedInputError
from retrain.work.dvc.declared import DeclaredOutput, Stage, TrackedFile
from retrain.work.dvc.description import Description
from retrain.work.dvc.tracked_inputs import require_frozen_outputs, require_none

RAW = DeclaredOutput("data/raw.csv", "out", True, True, False, None, True, "1" * 32, "md5", 3, False)
TRACKED = TrackedFile("data/raw.csv.dvc", False, False, (), (RAW,))
TRAIN = Stage("train", "dvc.yaml", ("x",), ".", False, False, True, ("data/raw.csv",), {}, ())


def described(stage: Stage = TRAIN, missing: tuple[str, ...] = ("data/raw.csv",)) -> Description:
    return Description((stage,), {}, (), (), (TRACKED,), missing, {})


@pytest.mark.parametrize("dep", ["data/raw.csv", "data"])
def test_tracked_data_that_a_stage_needs_is_refused_with_file_and_stage(dep: str) -> None:
    with pytest.raises(
        TrackedInputError, match=r"v1\.0\.0 tracks data/raw\.csv with data/raw\.csv\.dvc, and stage train"
    ):
        require_none(described(replace(TRAIN, deps=(dep,))), "v1.0.0")


@pytest.mark.parametrize(
    "well",
    [
        pytest.param(described(missing=()), id="it is in Git all the same"),
        pytest.param(described(replace(TRAIN, deps=("train.py",))), id="no stage needs it"),
        pytest.param(described(replace(TRAIN, reached=False)), id="a stage that is not run needs it"),
    ],
)
def test_tracked_data_that_no_run_needs_is_no_matter(well: Description) -> None:
    require_none(well, "v1.0.0")


GET = replace(TRAIN, name="get", frozen=True, deps=(), outs=(RAW,))


def test_the_output_of_a_frozen_stage_that_is_nowhere_is_refused_with_stage_and_path(tmp_path: Path) -> None:
    said = r"Stage get of v1\.0\.0 is frozen, and its output data/raw\.csv is neither in Git nor in the cache"
    for output in (RAW, replace(RAW, locked=False, md5=None)):
        with pytest.raises(TrackedInputError, match=said):
            require_frozen_outputs(described(replace(GET, outs=(output,))), tmp_path, "v1.0.0")


@pytest.mark.parametrize(
    "well",
    [
        pytest.param(described(GET, missing=()), id="it is in Git"),
        pytest.param(described(replace(GET, frozen=False)), id="the stage runs"),
        pytest.param(described(replace(GET, reached=False)), id="no run looks at the stage"),
    ],
)
def test_the_outputs_of_other_stages_are_no_matter(well: Description, tmp_path: Path) -> None:
    require_frozen_outputs(well, tmp_path, "v1.0.0")


def test_an_output_of_a_frozen_stage_that_an_earlier_release_made_here_comes_from_the_cache(tmp_path: Path) -> None:
    kept = tmp_path / "files" / "md5" / "11" / ("1" * 30)
    kept.parent.mkdir(parents=True)
    kept.touch()
    require_frozen_outputs(described(GET), tmp_path, "v1.0.0")
