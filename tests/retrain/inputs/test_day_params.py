"""The values that a run sets in params files, before DVC's own program sets them (tests/contract)."""

from __future__ import annotations

import pytest

from retrain.inputs import day_params
from retrain.inputs.errors import ParamsFileError
from retrain.work.dvc.declared import DeclaredOutput, Stage
from retrain.work.dvc.description import Description

MADE = Stage(
    "make", "dvc.yaml", ("x",), ".", False, False, True, (), {},
    (DeclaredOutput("made", "out", True, True, False, None, False, None, None, None, False),),
)  # fmt: skip
DESCRIBED = Description((MADE,), {}, (), (), (), (), {})


def test_the_parts_of_the_date_are_filled_into_texts_and_other_values_stay() -> None:
    params = {"./params.yaml": {"a": "{partition}", "b": "s3://x/{year}/{month}/{day}/{name}", "c": 7, "d": True}}
    assert day_params.of_day(params, "2020-03-05") == {
        "params.yaml": {"a": "2020-03-05", "b": "s3://x/2020/03/05/{name}", "c": 7, "d": True}
    }


def test_a_file_that_is_named_in_two_ways_gets_the_params_of_both() -> None:
    params = {"./params.yaml": {"a": "{day}"}, "params.yaml": {"b": 1}}
    assert day_params.of_day(params, "2020-03-05") == {"params.yaml": {"a": "05", "b": 1}}


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("run.yaml", "the run writes run.yaml itself"),
        ("manifest.json", "the run writes manifest.json itself"),
        ("prep/dvc.yaml", "is no params file"),
        ("dvc.lock", "is no params file"),
        ("data.csv.dvc", "is no params file"),
        (".dvc/config", "is no params file"),
        ("made/params.yaml", "stage make writes made/params.yaml"),
    ],
)
def test_a_file_that_a_run_may_not_set_is_refused_by_name(file: str, said: str) -> None:
    with pytest.raises(ParamsFileError, match=said):
        day_params.require_settable({file: {}}, DESCRIBED)


def test_any_other_file_may_be_set() -> None:
    day_params.require_settable({"params.yaml": {}, "conf/own.toml": {}}, DESCRIBED)


def test_the_files_that_the_run_writes_are_those_of_its_folder() -> None:
    with pytest.raises(ParamsFileError, match=r"the run writes ml/run\.yaml itself"):
        day_params.require_settable({"ml/run.yaml": {}}, DESCRIBED, "ml")
    day_params.require_settable({"run.yaml": {}}, DESCRIBED, "ml")
