"""The values that a run sets in the params files of its checkout, as `infra/dvc/set_params.py` answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

ParamValue = str | int | float | bool


@dataclass(frozen=True)
class SetParam:
    """A param that the run set, with the texts of the release's own value and of the run's."""

    file: str
    key: str
    before: str
    after: str


@dataclass(frozen=True)
class RefusedParam:
    """A param that cannot be set: because of its file, its key or its value, and a sentence that names it."""

    why: Literal["file", "key", "value"]
    text: str


def answered(output: str) -> tuple[SetParam, ...] | RefusedParam:
    """Read the program's answer. ValueError, LookupError or TypeError if the text is none."""
    document = json.loads(output)
    if "refused" in document:
        return RefusedParam(**document["refused"])
    return tuple(SetParam(**entry) for entry in document["set"])
