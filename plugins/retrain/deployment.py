"""A deployed pipeline, as its file in dags/pipelines/ describes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from retrain.errors import ConfigurationError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")

S3Url = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*$")]


def _inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("must stay inside the checkout, without ..")
    return path


RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*$"), AfterValidator(_inside)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(_Strict):
    """When the day's run starts."""

    cron: str = Field(pattern=r"^\S+( \S+){4}$")
    timezone: str = "UTC"
    start_date: date


class Repository(_Strict):
    """Where releases come from, and which folder of theirs describes their environment."""

    url: str = Field(min_length=1)
    environment: RelativePath = "."


class Raw(_Strict):
    """The raw partitions `<url>/dt=YYYY-MM-DD/` and how they are waited for."""

    url: S3Url
    window_days: PositiveInt
    marker: str = Field(default="_SUCCESS", pattern=r"^[A-Za-z0-9_.-]+$")
    poke_seconds: PositiveInt = 60
    give_up_after_hours: float = Field(default=48, gt=0)


class Expected(_Strict):
    """By when, on the day after the partition, in the schedule's time zone. On days of `not_on`: on the next day that is none."""

    landed: time
    recorded: time
    not_on: tuple[Literal["weekends", "holidays"], ...] = ()


class Calendar(_Strict):
    """Whose holidays count: a country and, if they differ, its subdivision, as the library `holidays` names them."""

    country: str = Field(pattern=r"^[A-Z]{2}$")
    subdivision: str | None = None


class Limits(_Strict):
    """What a run may take. A task is tried again `retries` times, the pause between two tries doubles."""

    reproduce_minutes: PositiveInt = 120
    min_free_disk_mb: PositiveInt = 1024
    retries: int = Field(default=2, ge=0, le=10)
    retry_seconds: PositiveInt = 60


class Tracking(_Strict):
    """The MLflow experiment and, for a pipeline with a model, its registered name."""

    experiment: str = Field(min_length=1)
    model: str | None = None


class Promotion(_Strict):
    """How challenger and champion are scored: `score MODEL_DIR ROWS OUT_JSON`, lower `metric` is better."""

    score: tuple[str, ...] = Field(min_length=1)
    rows: RelativePath
    metrics: RelativePath
    challenger: str
    baselines: tuple[str, ...] = ()
    metric: str


class Drift(_Strict):
    """Which report is read, and when it is worth a message."""

    report: RelativePath
    picture: RelativePath | None = None
    alert_on: tuple[str, ...] = Field(min_length=1)
    min_drifted: PositiveInt


class Slack(_Strict):
    """Where messages go."""

    channel: str = Field(pattern=r"^[#A-Z]\S+$")


class Deployment(_Strict):
    """One pipeline in production. Connections are Airflow's, by id."""

    schema_version: int = Field(ge=1, le=1)
    pipeline: str
    description: str
    owner: str = Field(min_length=1)
    tags: tuple[str, ...] = ()
    schedule: Schedule
    repository: Repository
    raw: Raw
    expected: Expected | None = None
    calendar: Calendar | None = None
    store: S3Url
    ledger: S3Url
    limits: Limits = Limits()
    tracking: Tracking
    promotion: Promotion | None = None
    drift: Drift | None = None
    slack: Slack
    aws_conn_id: str = "aws_default"
    mlflow_conn_id: str = "mlflow_default"
    slack_conn_id: str = "slack_default"


def load(path: Path, environment: Mapping[str, str] | None = None) -> Deployment:
    """Read `<pipeline>.yaml`; ConfigurationError names the file, the key and what is wrong with it."""
    variables = os.environ if environment is None else environment
    if not _NAME.fullmatch(path.stem):
        raise ConfigurationError(f"{path.name}: a pipeline's file is named [a-z][a-z0-9_]*.yaml. Rename it.")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path.name} holds {type(document).__name__}, not keys and values.")
    try:
        return Deployment(**{**_expand(document, path.name, "", variables), "pipeline": path.stem})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigurationError(f"{path.name}: {problems}") from error


def _expand(value: Any, file: str, key: str, variables: Mapping[str, str]) -> Any:
    """`${NAME}` in every string, from the environment."""
    if isinstance(value, dict):
        return {k: _expand(v, file, f"{key}.{k}".lstrip("."), variables) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, file, f"{key}.{i}", variables) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            raise ConfigurationError(f"{file}: {key} needs the environment variable {name}, which is not set.")
        return variables[name]

    return _VARIABLE.sub(of, value)
