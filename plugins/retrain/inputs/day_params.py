"""The params of the release that a run sets to values of its day."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from retrain.deployment.sections import Params
from retrain.errors import ReleaseError
from retrain.inputs.errors import ParamsFileError, ParamsKeyError, ParamsValueError
from retrain.inputs.reserved_names import FOLDERS, is_of_dvc, of_the_run
from retrain.run.raw_layout import filled
from retrain.work.dvc.description import Description
from retrain.work.dvc.param_values import ParamValue, RefusedParam, SetParam
from retrain.work.dvc.program import Dvc

_REFUSALS: dict[str, type[ReleaseError]] = {"file": ParamsFileError, "key": ParamsKeyError, "value": ParamsValueError}


def of_day(params: Params, day: str) -> dict[str, dict[str, ParamValue]]:
    """The values of a day, YYYY-MM-DD, by file and key: its date is filled into texts."""
    found: dict[str, dict[str, ParamValue]] = {}
    for file, values in params.items():
        own = {key: filled(value, day) if isinstance(value, str) else value for key, value in values.items()}
        found.setdefault(posixpath.normpath(file), {}).update(own)
    return found


def require_settable(files: Mapping[str, object], described: Description, place: str = ".") -> None:
    """Make sure that a run may set values in these files. `place` is as for `of_the_run`.

    Raises:
        ParamsFileError: one belongs to DVC, Git or the run, or a stage writes it.
    """
    for file in files:
        if file in of_the_run(place):
            raise ParamsFileError(
                f"params: the run writes {file} itself. Read it in the stages, or set a file of the release."
            )
        if is_of_dvc(posixpath.basename(file)) or file.split("/", 1)[0] in FOLDERS:
            raise ParamsFileError(
                f"params: {file} is no params file. Move what a run sets to one, such as params.yaml."
            )
        for stage in described.stages:
            if any(file == out.path or file.startswith(f"{out.path}/") for out in stage.outs):
                raise ParamsFileError(f"params: stage {stage.name} writes {file}. Set the file that it is made from.")


def set_in(dvc: Dvc, values: Mapping[str, Mapping[str, ParamValue]]) -> tuple[SetParam, ...]:
    """Set values in params files of a checkout. Each keeps the kind of the release's own value.

    Raises:
        ParamsFileError: a file is not in the release, or cannot be read.
        ParamsKeyError: a file has no such key; the sentence names those near it.
        ParamsValueError: a value is not of the kind of the release's own.
        DvcError: the program that sets them failed or took too long.
    """
    answer = dvc.set_params(values)
    if isinstance(answer, RefusedParam):
        raise _REFUSALS[answer.why](f"params: {answer.text}")
    return answer
