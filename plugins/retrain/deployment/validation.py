"""A document checked against its model; each problem is named with its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from retrain.errors import ConfigurationError

_Model = TypeVar("_Model", bound=BaseModel)


def validated(model: type[_Model], document: dict[str, Any], path: Path) -> _Model:
    """Return the document as a `model`. `path` is its file.

    Raises:
        ConfigurationError: it does not fit; the message names the file, and the key of each problem.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, "))))
            for e in error.errors(include_url=False)
        )
        raise ConfigurationError(f"{path.name}: {problems}") from error
