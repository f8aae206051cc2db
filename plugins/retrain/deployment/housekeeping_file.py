"""The limits of the housekeeping, loaded from dags/housekeeping.yaml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, PositiveInt

from retrain.deployment import yaml_file
from retrain.deployment.sections import Section
from retrain.deployment.validation import validated
from retrain.deployment.values import DailyCron, TimeZone

FILE = Path(__file__).resolve().parents[3] / "dags" / "housekeeping.yaml"


class HousekeepingLimits(Section):
    """When the housekeeping runs, and how long things are kept. All limits are in days.

    `keep_days` counts recorded days of a pipeline from the newest, and keeps their objects in the caches. The other limits count
    calendar days. `metadata_days` is the limit of Airflow's metadata database.
    """

    schema_version: int = Field(ge=1, le=1)
    owner: str = Field(min_length=1)
    tags: tuple[str, ...] = ()
    cron: DailyCron = "30 3 * * *"
    timezone: TimeZone = "UTC"
    keep_days: PositiveInt = 30
    environments_days: int = Field(default=30, ge=2)  # a run uses its environment for up to two days
    workspaces_days: int = Field(default=7, ge=2)  # the longest run takes less than two days
    corrupt_days: PositiveInt = 30
    garbage_days: PositiveInt = 90
    task_logs_days: PositiveInt = 90
    metadata_days: int = Field(default=365, ge=90)  # the watch asks Airflow about the last 90 days


def path(environment: Mapping[str, str] | None = None) -> Path:
    """The file that RETRAIN_HOUSEKEEPING names, else dags/housekeeping.yaml."""
    variables = os.environ if environment is None else environment
    return Path(variables.get("RETRAIN_HOUSEKEEPING") or FILE)


def load_housekeeping(path: Path, environment: Mapping[str, str] | None = None) -> HousekeepingLimits:
    """Read the file. `environment` has the variables for `${NAME}`; by default it is this process's.

    Raises:
        ConfigurationError: the file cannot be read or is broken; the message names file, key and problem.
    """
    variables = os.environ if environment is None else environment
    document = yaml_file.expanded(yaml_file.read(path), path.name, variables)
    return validated(HousekeepingLimits, document, path)
