"""A deployed pipeline, loaded from its file in dags/pipelines/."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from retrain.deployment import cron, holiday, yaml_file
from retrain.deployment.dag_ids import HOUSEKEEPING, LANDINGS
from retrain.deployment.policies import Policies
from retrain.deployment.run_settings import RunSettings
from retrain.deployment.sections import (
    Expected,
    Input,
    Limits,
    Params,
    Promotion,
    Raw,
    Repository,
    Schedule,
    SlackSection,
    TrackingSection,
)
from retrain.deployment.validation import validated
from retrain.deployment.values import S3Url
from retrain.errors import ConfigurationError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Deployment(Policies):
    """A pipeline in production. Connections are named by their id in Airflow.

    It is a `Policies` because those sections stand at the top of the same file, where a replay of the alerts reads them alone.
    """

    schema_version: int = Field(ge=1, le=1)
    pipeline: str
    description: str
    owner: str = Field(min_length=1)
    tags: tuple[str, ...] = ()
    schedule: Schedule
    # event: also by a message of raw.queue, as soon as a marker has landed
    trigger: Literal["schedule", "event"] = "schedule"
    repository: Repository
    raw: Raw
    inputs: tuple[Input, ...] = ()
    params: Params = Field(default_factory=dict)
    # The stages that fetch their own data: they run once for each run key.
    fetch: tuple[str, ...] = ()
    # The stages whose outputs are meant to be the same every day.
    static: tuple[str, ...] = ()
    expected: Expected | None = None
    store: S3Url
    ledger: S3Url
    limits: Limits = Limits()
    tracking: TrackingSection
    promotion: Promotion | None = None
    slack: SlackSection
    aws_conn_id: str = "aws_default"
    mlflow_conn_id: str = "mlflow_default"

    def run_settings(self, refetch: int = 0) -> RunSettings:
        """The keys of this file that can change a run's bytes."""
        return RunSettings(
            partition=self.raw.partition, inputs=self.inputs, params=self.params, fetch=self.fetch, refetch=refetch
        )

    @model_validator(mode="after")
    def _event_has_a_queue(self) -> Self:
        if self.trigger == "event" and self.raw.queue is None:
            raise ValueError("trigger: event needs raw.queue, the SQS queue of the bucket's messages")
        return self

    @model_validator(mode="after")
    def _expected_can_be_met(self) -> Self:
        if self.expected is None:
            return self
        if "holidays" in self.expected.not_on and self.calendar is None:
            raise ValueError("expected.not_on names holidays, which needs a calendar (calendar.country)")
        starts = cron.time_of(self.schedule.cron)
        if self.expected.recorded <= starts:
            raise ValueError(
                f"expected.recorded {self.expected.recorded:%H:%M} is not after {starts:%H:%M}, when schedule.cron starts the "
                "run: every day would be reported as silent. Write a later time of that day"
            )
        return self


def load(path: Path, environment: Mapping[str, str] | None = None, *, calendar: bool = True) -> Deployment:
    """Read `<pipeline>.yaml`.

    Args:
        path: the file; its name without `.yaml` is the pipeline's.
        environment: the variables for `${NAME}`; by default this process's.
        calendar: check that the library `holidays` knows the calendar. Importing it takes as long as all other imports of a
            DAG file together; without the check an unknown calendar is refused when a holiday is looked up.

    Raises:
        ConfigurationError: the file cannot be read or is broken; the message names file, key and problem.
    """
    variables = os.environ if environment is None else environment
    if not _NAME.fullmatch(path.stem):
        raise ConfigurationError(f"{path.name}: a pipeline's file is named [a-z][a-z0-9_]*.yaml. Rename it.")
    if path.stem.endswith(LANDINGS):
        raise ConfigurationError(
            f"{path.name}: {path.stem} is the name of the DAG that reads the messages of {path.stem.removesuffix(LANDINGS)}. "
            "Rename it."
        )
    if path.stem == HOUSEKEEPING:
        raise ConfigurationError(f"{path.name}: {path.stem} is the name of the DAG that cleans the volume. Rename it.")
    document = yaml_file.expanded(yaml_file.read(path), path.name, variables)
    deployment = validated(Deployment, {**document, "pipeline": path.stem}, path)
    if calendar:
        _check_calendar(deployment, path)
    return deployment


def load_policies(path: Path) -> Policies:
    """Read only the sections that decide about messages. No variable of the environment is needed.

    Raises:
        ConfigurationError: as for `load`.
    """
    document = yaml_file.read(path)
    policies = validated(Policies, {name: document[name] for name in Policies.model_fields if name in document}, path)
    _check_calendar(policies, path)
    return policies


def _check_calendar(policies: Policies, path: Path) -> None:
    if policies.calendar is None:
        return
    try:
        holiday.check(policies.calendar)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path.name}: {error}") from error
