"""Which data of .dvc files and frozen stages a run needs and a fresh checkout lacks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from retrain.work.dvc.declared import DeclaredOutput, Stage, TrackedFile
from retrain.work.dvc.description import Description
from retrain.work.dvc.tracked_inputs import TrackedInput, imports, missing_inputs

MD5 = "1" * 32
RAW = DeclaredOutput("data/raw.csv", "out", True, True, False, None, True, MD5, "md5", 3, False)
TRACKED = TrackedFile("data/raw.csv.dvc", False, False, (), (RAW,), reached=True)
TRAIN = Stage("train", "dvc.yaml", ("x",), ".", False, False, True, ("data/raw.csv",), {}, ())
GET = replace(TRAIN, name="get", frozen=True, deps=(), outs=(RAW,))


def described(
    *stages: Stage, tracked: tuple[TrackedFile, ...] = (), missing: tuple[str, ...] = ("data/raw.csv",)
) -> Description:
    return Description(stages, {}, (), (), tracked, missing, {})


@pytest.mark.parametrize("dep", ["data/raw.csv", "data"])
def test_data_of_a_dvc_file_that_a_stage_needs_is_missing_with_its_file_and_that_stage(dep: str) -> None:
    found = missing_inputs(described(replace(TRAIN, deps=(dep,)), tracked=(TRACKED,)))
    assert found == (TrackedInput("data/raw.csv.dvc", "data/raw.csv.dvc", "data/raw.csv", MD5, "md5", "train"),)
    assert found[0].named_by == "data/raw.csv.dvc"


def test_the_output_of_a_frozen_stage_is_missing_with_its_stage() -> None:
    (found,) = missing_inputs(described(GET, TRAIN))
    assert (found.file, found.stage, found.needed_by, found.named_by) == (
        "dvc.yaml",
        "get",
        "train",
        "the frozen stage get",
    )


@pytest.mark.parametrize(
    "well",
    [
        pytest.param(described(TRAIN, tracked=(TRACKED,), missing=()), id="it is in the checkout"),
        pytest.param(described(TRAIN, tracked=(replace(TRACKED, reached=False),)), id="no stage of the run needs it"),
        pytest.param(described(replace(GET, frozen=False)), id="its stage runs"),
        pytest.param(described(replace(GET, reached=False)), id="no run looks at its stage"),
    ],
)
def test_data_that_no_run_lacks_is_no_matter(well: Description) -> None:
    assert missing_inputs(well) == ()


def test_the_imports_that_a_run_needs_are_named_whether_frozen_or_not() -> None:
    imported = replace(TRACKED, file="a.dvc", imported=True)
    frozen = replace(imported, file="b.dvc", frozen=True)
    unreached = replace(imported, file="c.dvc", reached=False)
    assert imports(described(tracked=(TRACKED, imported, frozen, unreached))) == ("a.dvc", "b.dvc")


def test_tracked_data_is_stored_with_the_run_and_is_not_one_of_its_outputs() -> None:
    found = described(TRAIN, tracked=(TRACKED, replace(TRACKED, file="other.dvc", reached=False)))
    assert [(each.stage, each.path, each.md5) for each in found.stored] == [("data/raw.csv.dvc", "data/raw.csv", MD5)]
    assert (found.outputs, found.left_out) == ((), found.stored)
    assert Description.from_json(found.to_json(), "it") == found


def test_a_description_of_version_1_is_read_and_no_tracked_data_of_it_is_stored() -> None:
    document = json.loads(described(TRAIN, tracked=(TRACKED,)).to_json())
    document["schema_version"] = 1
    for each in document["tracked"]:
        del each["reached"]
    assert Description.from_json(json.dumps(document), "it").stored == ()
