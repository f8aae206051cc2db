"""Params of the repository that look like the day of a run."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

from retrain.adoption.pipeline_code import PipelineCode

_KEY = re.compile(
    r"(?:^|[._])(?:run_?|execution_?|logical_?|ref(?:erence)?_?|end_?|as_?of_?|data_?|partition_?|train_?end_?)?(?:date|day|partition|ds|asof)$",
    re.IGNORECASE,
)
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})")
_NOT_THE_DAY = re.compile(r"start|begin|first|from|min|since|birth", re.IGNORECASE)


def likely(code: PipelineCode) -> dict[str, dict[str, str]]:
    """The params that a run should set to its day: by file, then by key, with the pattern of their value."""
    found: dict[str, dict[str, str]] = {}
    for each in code.stages:
        for file, values in each.stage.params.items():
            for key, value in values.items():
                pattern = _pattern(key, value)
                if pattern and re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*", file) and not file.endswith(".py"):
                    found.setdefault(file, {})[key] = pattern
    return found


def _pattern(key: str, value: Any) -> str | None:
    last = key.rpartition(".")[2]
    if not _KEY.search(key) or _NOT_THE_DAY.search(last):
        return None
    if isinstance(value, date | datetime):
        return "{partition}"
    if isinstance(value, str) and _DATE.fullmatch(value):
        return "{partition}"
    return None
