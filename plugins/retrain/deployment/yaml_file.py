"""A YAML file whose strings may contain variables of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from retrain.errors import ConfigurationError

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


def read(path: Path) -> dict[str, Any]:
    """The file's keys and values.

    Raises:
        ConfigurationError: the file cannot be read, is not YAML, or is not a mapping; the message names it.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}). Give the name of a pipeline in dags/pipelines/."
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or an impossible date
        raise ConfigurationError(f"{path.name} is not YAML: {' '.join(str(error).split())}. Correct it.") from error
    if not isinstance(document, dict):
        raise ConfigurationError(
            f"{path.name} contains {type(document).__name__}, not keys and values. Write one key a line, such as owner: NAME"
        )
    return document


def expanded(document: dict[str, Any], file: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """The document with each `${NAME}` in its strings replaced by the variable's value. `file` names it in an error.

    Raises:
        ConfigurationError: a variable is not set; the message names file, key and variable.
    """

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
                raise ConfigurationError(
                    f"{file}: {key} needs the environment variable {name}, which is not set. Set it where Airflow, the watch and the commands run."
                )
            return variables[name]

        return _VARIABLE.sub(of, value)

    return {key: expand(value, str(key)) for key, value in document.items()}
