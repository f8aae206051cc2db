"""A deployed pipeline, as its file in dags/pipelines/ describes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from retrain.deployment import cron, holiday, yaml_file
from retrain.errors import ConfigurationError

LANDINGS = "_landings"  # ends the name of the DAG that reads a pipeline's messages
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_Model = TypeVar("_Model", bound=BaseModel)

S3Url = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*$")]


def _inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("must stay inside the checkout, without ..")
    return path


RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*$"), AfterValidator(_inside)]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:  # an unknown name, a path, a folder of zones
        raise ValueError(f"{name!r} is no time zone of the IANA database, such as Europe/Berlin") from error
    return name


def _time_of_day(value: Any) -> Any:
    # YAML reads 10:00 without quotes as 600, which would be ten past midnight.
    if isinstance(value, time) or (isinstance(value, str) and re.fullmatch(r"\d{2}:\d{2}", value)):
        return value
    raise ValueError(f'{value!r} is no time of day. Give it in quotes, such as "10:00"')


TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(_Strict):
    """When a day's run starts: when the next day's data interval does, see `retrain.run.partition`. `start_date` is the first day."""

    cron: Annotated[str, AfterValidator(cron.check)]
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
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
    queue: str | None = Field(default=None, pattern=r"^https?://\S+$")  # SQS, with S3's messages about new markers


class Expected(_Strict):
    """By when, on the day that the partition's run starts, in the schedule's time zone. If that day is one of `not_on`: on the
    next one that is not. With a daily schedule a partition's run starts on the day after it.
    """

    landed: TimeOfDay
    recorded: TimeOfDay
    not_on: tuple[Literal["weekends", "holidays"], ...] = ()


class Calendar(_Strict):
    """Whose holidays count: a country and, if they differ, its subdivision, as the library `holidays` names them."""

    country: str = Field(pattern=r"^[A-Z]{2}$")
    subdivision: str | None = Field(default=None, min_length=1)


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
    """How challenger and champion are scored: `score MODEL_DIR ROWS OUT_JSON`, lower `metric` is better.

    A champion that is older than `champion_days` and still not beaten is worth a message.
    """

    score: tuple[str, ...] = Field(min_length=1)
    rows: RelativePath
    metrics: RelativePath
    challenger: str
    baselines: tuple[str, ...] = ()
    metric: str
    champion_days: PositiveInt = 14


class Drift(_Strict):
    """Which report is read, and when its days are worth a message.

    `min_features` that matter fully must be over their limits at once, and as much as one of them on `days` of `of_days`, or
    their effects, each up to `high` times its limit, must add up to `min_features * high`. Rows below `rows_below` of the
    same weekdays' on `days` of `of_days` are a message too. `calm_days` in a row end it. A limit is raised to what chance
    reaches with so few rows, at this `confidence`.
    """

    report: RelativePath
    picture: RelativePath | None = None
    min_features: float = Field(default=2.0, gt=0)
    days: PositiveInt = 3
    of_days: PositiveInt = 7
    high: float = Field(default=4.0, gt=1)
    calm_days: PositiveInt = 7
    rows_below: float = Field(default=0.5, ge=0, lt=1)
    confidence: float = Field(default=0.999, gt=0.5, lt=1)


class Performance(_Strict):
    """Where the model's error is read, lower is better, and when it is worth a message.

    `metrics` holds `metric` in the sections `model` and `baselines`; the model's may have an interval, `<metric>_low` and
    `<metric>_high`. Surely more than the median of `history_days` by so many `deviations` is a message, and so is surely more
    than a baseline on `days` of `of_days`. `calm_days` in a row end it. Below `min_history` days of history nothing is said.
    """

    metrics: RelativePath
    model: str
    metric: str
    unit: str = ""
    baselines: tuple[str, ...] = ()
    history_days: int = Field(default=42, ge=7, le=90)
    min_history: PositiveInt = 14
    deviations: float = Field(default=3.0, gt=0)
    days: PositiveInt = 3
    of_days: PositiveInt = 7
    calm_days: PositiveInt = 3


class Ordinary(_Strict):
    """Days on which nothing happened that a message is worth, but for a few: at most this share of them opens one."""

    first: date
    last: date
    max_share: float = Field(gt=0, lt=1)


class Known(_Strict):
    """What did happen: exactly one incident of the kind in these days, opened by the run of that partition."""

    kind: Literal["drift_detected", "performance_dropped"]
    first: date
    last: date
    opened: date


class Replay(_Strict):
    """What the policies must make of history, for `make alerts-replay CHECK=1`. `events` names days, for people."""

    ordinary: Ordinary
    incidents: tuple[Known, ...] = ()
    events: dict[date, str] = {}


class Policies(_Strict):
    """When a day is worth a message: the sections that a replay needs."""

    calendar: Calendar | None = None
    drift: Drift | None = None
    performance: Performance | None = None
    replay: Replay | None = None


class Slack(_Strict):
    """Where messages go."""

    channel: str = Field(pattern=r"^[#A-Z]\S+$")


class Deployment(Policies):
    """One pipeline in production. Connections are Airflow's, by id."""

    schema_version: int = Field(ge=1, le=1)
    pipeline: str
    description: str
    owner: str = Field(min_length=1)
    tags: tuple[str, ...] = ()
    schedule: Schedule
    trigger: Literal["schedule", "event"] = (
        "schedule"  # event: by a message of raw.queue too, as soon as a marker has landed
    )
    repository: Repository
    raw: Raw
    expected: Expected | None = None
    store: S3Url
    ledger: S3Url
    limits: Limits = Limits()
    tracking: Tracking
    promotion: Promotion | None = None
    slack: Slack
    aws_conn_id: str = "aws_default"
    mlflow_conn_id: str = "mlflow_default"

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
                "run: every day would be told as silent. Give a later time of that day"
            )
        return self


def load(path: Path, environment: Mapping[str, str] | None = None, *, calendar: bool = True) -> Deployment:
    """Read `<pipeline>.yaml`; ConfigurationError names the file, the key and what is wrong with it.

    Without `calendar` its country is taken as it is, and is refused where a holiday is asked for: the library `holidays` takes
    as long to import as all else that a DAG file needs.
    """
    variables = os.environ if environment is None else environment
    if not _NAME.fullmatch(path.stem):
        raise ConfigurationError(f"{path.name}: a pipeline's file is named [a-z][a-z0-9_]*.yaml. Rename it.")
    if path.stem.endswith(LANDINGS):
        raise ConfigurationError(
            f"{path.name}: {path.stem} is the name of the DAG that reads the messages of {path.stem.removesuffix(LANDINGS)}. "
            "Rename it."
        )
    document = yaml_file.expanded(yaml_file.read(path), path.name, variables)
    deployment = _validated(Deployment, {**document, "pipeline": path.stem}, path)
    if calendar:
        _check_calendar(deployment, path)
    return deployment


def load_policies(path: Path) -> Policies:
    """Read only what decides about messages; no address is needed for that. ConfigurationError as `load`."""
    document = yaml_file.read(path)
    policies = _validated(Policies, {name: document[name] for name in Policies.model_fields if name in document}, path)
    _check_calendar(policies, path)
    return policies


def _check_calendar(policies: Policies, path: Path) -> None:
    if policies.calendar is None:
        return
    try:
        holiday.check(policies.calendar)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path.name}: {error}") from error


def _validated(model: type[_Model], document: dict[str, Any], path: Path) -> _Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, "))))
            for e in error.errors(include_url=False)
        )
        raise ConfigurationError(f"{path.name}: {problems}") from error
