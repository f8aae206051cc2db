"""Reads the text of a TOML file that may be broken."""

from __future__ import annotations

import tomllib
from typing import Any


def read(text: str) -> dict[str, Any]:
    """The content; empty if it is no TOML, which the tool that needs the file reports itself."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def at(table: Any, *keys: str) -> Any:
    """The value below these keys; None if there is none."""
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table
