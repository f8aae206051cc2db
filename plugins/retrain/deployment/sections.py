"""The sections of a pipeline's file that define its runs."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from retrain.deployment.values import DailyCron, RelativePath, S3Url, TimeOfDay, TimeZone


class Section(BaseModel):
    """A section of the file. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Section):
    """When the runs start. The run of a day starts when the next day's data interval does: see `retrain.run.partition`.

    `start_date` is the first day.
    """

    cron: DailyCron
    timezone: TimeZone = "UTC"
    start_date: date


class Repository(Section):
    """The Git origin of the releases. `environment` is the folder of a release whose files define its Python environment."""

    url: str = Field(min_length=1)
    environment: RelativePath = "."


class Raw(Section):
    """The raw partitions `<url>/dt=YYYY-MM-DD/`. A run reads `window_days` of them and waits for the marker of the last.

    `queue` is the SQS queue that S3 writes to when a marker lands.
    """

    url: S3Url
    window_days: PositiveInt
    marker: str = Field(default="_SUCCESS", pattern=r"^[A-Za-z0-9_.-]+$")
    poke_seconds: PositiveInt = 60
    give_up_after_hours: float = Field(default=48, gt=0)
    queue: str | None = Field(default=None, pattern=r"^https?://\S+$")


class Expected(Section):
    """Deadlines on the day on which the partition's run starts, in the schedule's time zone.

    With a daily schedule that is the day after the partition. A deadline on a `not_on` day moves to the next day that is not one.
    """

    landed: TimeOfDay
    recorded: TimeOfDay
    not_on: tuple[Literal["weekends", "holidays"], ...] = ()


class Calendar(Section):
    """The public holidays of a country, or of its subdivision, as the library `holidays` names them."""

    country: str = Field(pattern=r"^[A-Z]{2}$")
    subdivision: str | None = Field(default=None, min_length=1)


class Limits(Section):
    """Limits of a run. A failed task is retried up to `retries` times; the pause doubles from one retry to the next."""

    reproduce_minutes: PositiveInt = 120
    min_free_disk_mb: PositiveInt = 1024
    retries: int = Field(default=2, ge=0, le=10)
    retry_seconds: PositiveInt = 60


class TrackingSection(Section):
    """The MLflow experiment, and the name of the registered model if the pipeline has one."""

    experiment: str = Field(min_length=1)
    model: str | None = None


class Promotion(Section):
    """How challenger and champion are scored: by the command `score MODEL_DIR ROWS OUT_JSON`. A lower `metric` is better.

    A champion that is older than `champion_days` and still not beaten is reported.
    """

    score: tuple[str, ...] = Field(min_length=1)
    rows: RelativePath
    metrics: RelativePath
    challenger: str
    baselines: tuple[str, ...] = ()
    metric: str
    champion_days: PositiveInt = 14


class SlackSection(Section):
    """The channel that messages go to."""

    channel: str = Field(pattern=r"^[#A-Z]\S+$")
