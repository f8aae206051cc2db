"""Field types of facts: a value of another type reads as None or empty instead of failing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import PlainValidator

from retrain.alerts.kinds import Kind
from retrain.errors import Cause


def many(value: object) -> list[object] | tuple[object, ...]:
    return value if isinstance(value, list | tuple) else ()


def text(value: object) -> str | None:
    return None if value is None or isinstance(value, Mapping | list | tuple) else str(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in many(value) if isinstance(each, str))


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _interval(value: object) -> tuple[float, float] | None:
    ends = [number for each in many(value) if (number := _number(each)) is not None and abs(number) < math.inf]
    return (ends[0], ends[1]) if len(ends) == 2 else None  # noqa: PLR2004


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers_by_name(value: object) -> dict[str, float | None]:
    return {str(name): _number(each) for name, each in value.items()} if isinstance(value, Mapping) else {}


def _identifier(value: object) -> str | int | None:
    return value if isinstance(value, str) else _whole(value)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _cause(value: object) -> Cause | None:
    try:
        return Cause(str(value).upper())
    except ValueError:
        return None


def _kind(value: object) -> Kind | None:
    try:
        return Kind(str(value))
    except ValueError:
        return None


Text = Annotated[str | None, PlainValidator(text)]
Texts = Annotated[tuple[str, ...], PlainValidator(_texts)]
Number = Annotated[float | None, PlainValidator(_number)]  # an int stays one: it is shown without decimals
Whole = Annotated[int | None, PlainValidator(_whole)]
Identifier = Annotated[str | int | None, PlainValidator(_identifier)]
Flag = Annotated[bool | None, PlainValidator(_flag)]
Interval = Annotated[tuple[float, float] | None, PlainValidator(_interval)]  # low, high
NumbersByName = Annotated[Mapping[str, float | None], PlainValidator(_numbers_by_name)]
CauseField = Annotated[Cause | None, PlainValidator(_cause)]
KindField = Annotated[Kind | None, PlainValidator(_kind)]
