"""Code that every stage shares: running with an exit code, reading inputs, writing reports."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.errors import InputsError, StageError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARAMS = Path("params.yaml")
RUN = Path("run.yaml")
SCHEMA_VERSION = 1

# DVC starts a stage in the root of the checkout, so paths are relative to it.
RAW = Path("data/raw")
TRIPS = Path("data/trips")
QUARANTINE = Path("data/quarantine.parquet")
HISTORY = Path("data/history")
BASELINE = Path("data/baseline.parquet")
TRAIN = Path("data/train.parquet")
TEST = Path("data/test.parquet")
PREDICTIONS = Path("data/predictions.parquet")
MODEL = Path("model")
REPORTS = Path("reports")
METRICS = REPORTS / "metrics.json"


def run(stage: Callable[[], None]) -> int:
    """Run a stage and return its exit code. A StageError becomes one sentence, the last line on stderr."""
    try:
        stage()
    except StageError as e:
        sys.stderr.write(f"{e}\n")
        return e.exit_code
    except OSError as e:
        if e.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        where = e.filename or Path.cwd()
        sys.stderr.write(
            f"The disk is full: {where} could not be written ({e.strerror}); free it, then clear the task.\n"
        )
        return StorageError.exit_code
    return 0


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        InputsError: the file is missing, is not YAML, or holds no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError as e:
        raise InputsError(f"{path} is missing; `make inputs PARTITION=YYYY-MM-DD` writes the inputs of a run.") from e
    except yaml.YAMLError as e:
        raise InputsError(f"{path} is not valid YAML ({' '.join(str(e).split())}); correct it.") from e
    if not isinstance(content, dict):
        raise InputsError(f"{path} holds {type(content).__name__}, expected a mapping; correct it.")
    return content


def read_params(section: str, path: Path = PARAMS) -> dict[str, Any]:
    """Return the section of `params.yaml` with the stage's parameters.

    Raises:
        InputsError: there is no such section.
    """
    values = read_yaml(path).get(section)
    if not isinstance(values, dict):
        raise InputsError(f"{path} has no section {section}; add it back from the release's params.yaml.")
    return values


def read_partition(path: Path = RUN) -> date:
    """Return the partition in `run.yaml`.

    Raises:
        InputsError: the file has another schema version, or its partition is not a quoted YYYY-MM-DD.
    """
    content = read_yaml(path)
    if content.get("schema_version") != SCHEMA_VERSION:
        version = content.get("schema_version")
        raise InputsError(f"{path} has schema_version {version!r}, this release reads {SCHEMA_VERSION}.")
    value = content.get("partition")
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise InputsError(f"{path} has partition {value!r}, expected a quoted date such as '2020-03-05'.")
    try:
        return date.fromisoformat(value)
    except ValueError as e:
        raise InputsError(f"{path} has partition {value!r}, which is not a day of the calendar.") from e


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a report as JSON: sorted, indented, with a final newline, so that equal content gives equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def quiet_mlflow() -> None:
    """Make MLflow report errors only. Call it before importing MLflow, whose saves and loads print hints and progress bars."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
