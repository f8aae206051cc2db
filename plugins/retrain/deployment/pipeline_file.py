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
from retrain.deployment.run_settings import RunPackages, RunSettings
from retrain.deployment.sections import (
    DEFAULT_PARTITION,
    DvcRemote,
    Expected,
    Input,
    Limits,
    Packages,
    Params,
    Promotion,
    Raw,
    Repository,
    Schedule,
    Secret,
    SlackSection,
    TrackingSection,
)
from retrain.deployment.validation import validated
from retrain.deployment.values import FileName, S3Url, StageVariable, Target
from retrain.errors import ConfigurationError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Deployment(Policies):
    """A pipeline in production. Connections are named by their id in Airflow.

    It is a `Policies` because those sections stand at the top of the same file, where a replay of the alerts reads them alone.
    """

    schema_version: int = Field(ge=1, le=1)
    """The version of this file's form, 1."""
    pipeline: str
    pipelines: Path = Field(default=Path(), exclude=True)  # the folder of the file, not a key
    description: str
    """One sentence, shown in Airflow."""
    owner: str = Field(min_length=1)
    """The team that alerts and tasks name."""
    tags: tuple[str, ...] = ()
    """More tags of the DAG."""
    schedule: Schedule
    trigger: Literal["schedule", "event"] = "schedule"
    """`event`: also start a day by a message of `raw.queue`, as soon as its data has landed."""
    repository: Repository
    targets: Literal["all"] | tuple[Target, ...] = ()
    """What `dvc repro` runs, with all that it needs: stages, or `dvc.yaml` files; `all` for every `dvc.yaml`; by default that of `repository.folder`."""
    packages: Packages = Packages()
    env: dict[StageVariable, str] = Field(default_factory=dict)
    """Variables that the stages get."""
    secrets: dict[StageVariable, Secret] = Field(default_factory=dict)
    """Variables that the stages get, with values out of Airflow's connections or Variables."""
    remotes: dict[FileName, DvcRemote] = Field(default_factory=dict)
    """The release's own DVC remotes, by their names in its `.dvc/config`. One that is not here is read with `aws_conn_id` if it is S3, else without credentials."""
    # None: the stages fetch all their data themselves.
    raw: Raw | None = None
    inputs: tuple[Input, ...] = ()
    params: Params = Field(default_factory=dict)
    """Params of the release that the run sets, by file, then by key: numbers, or texts in which `{partition}` and its parts are filled in."""
    fetch: tuple[str, ...] = ()
    """The stages that fetch their own data. They run once for each run key, whatever DVC's cache says."""
    static: tuple[str, ...] = ()
    """The stages whose outputs are meant to be the same every day."""
    expected: Expected | None = None
    store: S3Url
    """The DVC remote."""
    ledger: S3Url
    """The folder of the ledger."""
    limits: Limits = Limits()
    tracking: TrackingSection
    promotion: Promotion | None = None
    slack: SlackSection
    queue: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]+$")
    """The queue of the workers that run the pipeline's tasks; by default Airflow's own."""
    aws_conn_id: str = "aws_default"
    """Airflow's connection to S3 and SQS."""
    mlflow_conn_id: str = "mlflow_default"
    """Airflow's connection to MLflow."""

    def run_settings(self, refetch: int = 0, lock: str | None = None) -> RunSettings:
        """The keys of this file that can change a run's bytes. `lock` is the SHA-256 (hex) of the file that `packages.lock` names."""
        packages = self.packages
        return RunSettings(
            partition=DEFAULT_PARTITION if self.raw is None else self.raw.partition,
            inputs=self.inputs,
            params=self.params,
            fetch=self.fetch,
            refetch=refetch,
            folder=self.repository.folder,
            targets=self.targets,
            packages=RunPackages(
                python=packages.python,
                lock=lock,
                as_of=str(packages.as_of),
                extras=packages.extras,
                groups=packages.groups,
            ),
            env=self.env,
        )

    @model_validator(mode="after")
    def _sets_a_variable_once(self) -> Self:
        if both := sorted(self.env.keys() & self.secrets.keys()):
            raise ValueError(f"{both[0]} is set by env and by secrets. Leave one of them out")
        return self

    @model_validator(mode="after")
    def _event_has_a_queue(self) -> Self:
        if self.trigger == "event" and (self.raw is None or self.raw.queue is None):
            raise ValueError("trigger: event needs raw.queue, the SQS queue of the bucket's messages")
        return self

    @model_validator(mode="after")
    def _names_raw_data_only_if_it_has_some(self) -> Self:
        if self.raw is None and self.inputs:
            raise ValueError("inputs are laid from raw objects, and the file has no raw. Add raw, or leave inputs out")
        if self.expected is None:
            return self
        if self.raw is None and self.expected.landed is not None:
            raise ValueError(
                "expected.landed is the deadline of raw data, and the file has no raw. Add raw, or leave expected.landed out"
            )
        if self.raw is not None and self.expected.landed is None:
            raise ValueError('expected.landed is missing: the time by which a partition of raw lands, such as "10:00"')
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
    check_name(path.stem)
    document = yaml_file.expanded(yaml_file.read(path), path.name, variables)
    deployment = validated(Deployment, {**document, "pipeline": path.stem, "pipelines": path.parent}, path)
    if calendar:
        _check_calendar(deployment, path)
    return deployment


def check_name(name: str) -> None:
    """Make sure that a pipeline may have this name, which is that of its file.

    Raises:
        ConfigurationError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name}.yaml: a pipeline's file is named [a-z][a-z0-9_]*.yaml. Rename it.")
    if name.endswith(LANDINGS):
        raise ConfigurationError(
            f"{name}.yaml: {name} is the name of the DAG that reads the messages of {name.removesuffix(LANDINGS)}. "
            "Rename it."
        )
    if name == HOUSEKEEPING:
        raise ConfigurationError(f"{name}.yaml: {name} is the name of the DAG that cleans the volume. Rename it.")


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
