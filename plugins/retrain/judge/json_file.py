"""A JSON file that a stage of the pipeline wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from retrain.errors import ReportError


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object. Python's JSON allows NaN and Infinity: take numbers with `day.number`.

    Raises:
        ReportError: the file is missing, is not JSON, or holds something other than an object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(
            f"{path.name} cannot be read ({error}). The pipeline's file names it: correct that name, or the stage that writes it."
        ) from error
    if not isinstance(document, dict):
        raise ReportError(
            f"{path.name} holds {type(document).__name__}, not an object. Fix the stage that writes it in a new release."
        )
    return document
