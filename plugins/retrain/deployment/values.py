"""The types of single values in a pipeline's file. Each message says what is wrong with the value and how to write it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from retrain.deployment import cron, git_names

# What a pattern may name: the parts of a partition's date, and those of an object's name.
_YEAR, _MONTH, _DAY = "[12][0-9]{3}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
DATE_PARTS = {"partition": f"{_YEAR}-{_MONTH}-{_DAY}", "year": _YEAR, "month": _MONTH, "day": _DAY}
NAME_PARTS = ("name", "stem", "suffix")
INPUT_NAMES = ("keep", "flat", "file")
# Variables that a stage gets from the deployment, or must not have.
_OWN_VARIABLES = ("PATH", "SHELL", "RAW_CACHE_DIR", "OMP_NUM_THREADS")
_OWN_PREFIXES = ("DVC_", "AIRFLOW", "_AIRFLOW", "RETRAIN_")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def _inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("must stay inside the checkout, without ..")
    return path


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:  # an unknown name, a path, a folder of zones
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Berlin") from error
    return name


def _time_of_day(value: Any) -> Any:
    # YAML reads 10:00 without quotes as 600, which would be ten past midnight.
    if isinstance(value, time) or (isinstance(value, str) and re.fullmatch(r"\d{2}:\d{2}", value)):
        return value
    raise ValueError(f'{value!r} is not a time of day. Write it in quotes, such as "10:00"')


def _named(pattern: str, known: Collection[str]) -> set[str]:
    """The parts that a pattern names, all of which are known."""
    if re.search(r"[{}]", _PLACEHOLDER.sub("", pattern)):
        raise ValueError(
            f"{pattern!r} has a brace that is no part's. Write each part in one pair, such as {{partition}}"
        )
    if "" in pattern.split("/"):
        raise ValueError(f"{pattern!r} has an empty part. Write one slash between two parts, and none at the end")
    named = set(_PLACEHOLDER.findall(pattern))
    if unknown := named - set(known):
        raise ValueError(
            f"{pattern!r} has {{{min(unknown)}}}, which is none of {', '.join(f'{{{each}}}' for each in known)}"
        )
    return named


def _dated(pattern: str) -> str:
    """A pattern of keys: it names the day, and nothing that is not known."""
    named = _named(pattern, DATE_PARTS)
    if "partition" not in named and not {"year", "month", "day"} <= named:
        raise ValueError(
            f"{pattern!r} has no date. Write {{partition}} (YYYY-MM-DD), or {{year}}, {{month}} and {{day}}"
        )
    return pattern


def _marker(pattern: str) -> str:
    _named(pattern.removeprefix("/"), DATE_PARTS)
    return pattern


def _input_names(names: str) -> str:
    if names in INPUT_NAMES:
        return names
    if not _named(names, (*DATE_PARTS, *NAME_PARTS)):
        raise ValueError(
            f"{names!r} gives all objects one name. Write {', '.join(INPUT_NAMES)}, or a pattern such as {{partition}}-{{name}}"
        )
    return names


def is_settable(name: str) -> bool:
    """True if a pipeline's file may set this variable for its stages."""
    return name not in _OWN_VARIABLES and not name.startswith(_OWN_PREFIXES)


def _stage_variable(name: str) -> str:
    if not is_settable(name):
        raise ValueError(f"{name} is set by the deployment itself, or is not passed to stages. Choose another name")
    return name


def _tags(pattern: str) -> str:
    named = _PLACEHOLDER.findall(pattern)
    example = pattern.replace("{version}", "1.0.0").replace("{name}", "name")
    if named.count("version") != 1 or named.count("name") > 1 or not git_names.is_safe(example):
        raise ValueError(
            f"{pattern!r} is not a pattern of Git tags. Write {{version}} once, and {{name}} at most once, for the pipeline's name, "
            'such as "{name}@v{version}"'
        )
    return pattern


def _single(value: Any) -> Any:
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    # YAML reads 2020-03-09 without quotes as a date.
    raise ValueError(
        f"{value} is not a text, a finite number, true or false. Write a date in quotes, a section key by key"
    )


S3Url = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*$")]
RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*$"), AfterValidator(_inside)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
DailyCron = Annotated[str, AfterValidator(cron.check)]
# A pattern of the part of a key below `raw.url`; `*` stands for any characters but a slash.
PartitionPattern = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.={*][A-Za-z0-9_./={}*-]*$"), AfterValidator(_inside), AfterValidator(_dated)
]
MarkerPattern = Annotated[
    str, Field(pattern=r"^/?[A-Za-z0-9_.={*][A-Za-z0-9_./={}*-]*$"), AfterValidator(_inside), AfterValidator(_marker)
]
SingleValue = Annotated[str | int | float | bool, BeforeValidator(_single)]
InputNames = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.={][A-Za-z0-9_./={}-]*$"), AfterValidator(_inside), AfterValidator(_input_names)
]
ConnectionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$", max_length=200)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
PackageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
PythonVersion = Annotated[str, Field(pattern=r"^3\.[0-9]{1,2}$")]
StageVariable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_stage_variable)]
# DVC's address of a stage, or the path of a dvc.yaml. None begins like an option.
Target = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./@:+ -]*$"), AfterValidator(_inside)]
TagPattern = Annotated[str, AfterValidator(_tags)]
