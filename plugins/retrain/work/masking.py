"""Replaces secret values in what a process prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 5  # characters; Airflow's own masking leaves shorter ones alone too, because they are in many words
MASK = "***"


def forms(values: Iterable[str]) -> tuple[str, ...]:
    """The texts to look for, the longest first: each line of a value, also as JSON and as a part of an address write it."""
    lines = [line for value in values for line in (value, *value.splitlines())]
    addresses = (form for line in lines for form in (quote(line), quote(line, safe=""), quote_plus(line)))
    found = {*addresses, *(form for line in lines for form in (line, line.strip(), json.dumps(line)[1:-1]))}
    return tuple(sorted((form for form in found if len(form) >= SHORTEST), key=lambda form: (-len(form), form)))


def masked(text: str, hidden: Sequence[str]) -> str:
    """A text with each of `hidden`, as `forms` returns them, replaced."""
    for form in hidden:
        text = text.replace(form, MASK)
    return text


def masked_value(value: Any, hidden: Sequence[str]) -> Any:
    """As `masked`, for all texts of a JSON value. Keys and numbers stay."""
    if isinstance(value, str):
        return masked(value, hidden)
    if isinstance(value, dict):
        return {key: masked_value(each, hidden) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked_value(each, hidden) for each in value)
    return value
