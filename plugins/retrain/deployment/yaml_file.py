"""A YAML file of keys and values, with variables of the environment in its strings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from retrain.errors import ConfigurationError

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


def read(path: Path) -> dict[str, Any]:
    """The file's keys and values; ConfigurationError names the file if it has none."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}). Name a pipeline of this checkout."
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that no calendar has
        raise ConfigurationError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path.name} holds {type(document).__name__}, not keys and values.")
    return document


def expanded(document: dict[str, Any], file: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """The document with `${NAME}` in every string replaced; ConfigurationError names file, key and a variable that is not set."""

    def expand(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {k: expand(v, f"{key}.{k}".lstrip(".")) for k, v in value.items()}
        if isinstance(value, list):
            return [expand(v, f"{key}.{i}") for i, v in enumerate(value)]
        if not isinstance(value, str):
            return value

        def of(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in variables:
                raise ConfigurationError(f"{file}: {key} needs the environment variable {name}, which is not set.")
            return variables[name]

        return _VARIABLE.sub(of, value)

    return {key: expand(value, str(key)) for key, value in document.items()}
