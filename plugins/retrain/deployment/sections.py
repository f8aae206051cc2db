"""The sections of a pipeline's file that define its runs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from retrain.deployment.values import (
    DailyCron,
    InputNames,
    MarkerPattern,
    PartitionPattern,
    RelativePath,
    S3Url,
    TimeOfDay,
    TimeZone,
)

DEFAULT_PARTITION = "dt={partition}"


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
    """The raw partitions below `url`. A run reads `window_days` of them and waits until the last one has landed.

    `partition` is the pattern of a partition's folder, or of its files: see `retrain.run.raw_layout`. A partition has landed when
    its `marker` is there: a name in its folder; with a leading slash, a name below `url`. With `marker: null` it has landed when
    no object has come for `quiet_minutes`. `queue` is the SQS queue that S3 writes to when a marker lands.
    """

    url: S3Url
    window_days: PositiveInt
    partition: PartitionPattern = DEFAULT_PARTITION
    marker: MarkerPattern | None = "_SUCCESS"
    quiet_minutes: PositiveInt | None = None
    poke_seconds: PositiveInt = 60
    give_up_after_hours: float = Field(default=48, gt=0)
    queue: str | None = Field(default=None, pattern=r"^https?://\S+$")

    @model_validator(mode="after")
    def _ends_in_one_way(self) -> Self:
        if self.marker is None and self.quiet_minutes is None:
            raise ValueError(
                "without a marker a partition needs quiet_minutes: how long no object may come before it has landed"
            )
        if self.marker is not None and self.quiet_minutes is not None:
            raise ValueError(
                "quiet_minutes is for a partition without a marker. Write marker: null, or leave quiet_minutes out"
            )
        return self


class Input(Section):
    """Raw objects that are laid at `path` of the checkout before `dvc repro`, in place of what the commit has there.

    `days`: those of the whole window, or of the run's partition alone. `objects`: only those whose name matches, such as
    `orders*.csv`. `names`: `keep` (the key below `raw.url`), `flat` (the name alone), `file` (`path` is the one object itself),
    or a pattern such as `{year}/{partition}-{name}`.
    """

    path: RelativePath
    days: Literal["window", "partition"] = "window"
    names: InputNames = "keep"
    objects: str = Field(default="*", min_length=1, pattern=r"^[^/]+$")

    @model_validator(mode="after")
    def _one_file_is_of_one_day(self) -> Self:
        if self.names == "file" and self.days != "partition":
            raise ValueError("names: file lays one object at the path itself, which needs days: partition")
        return self


# The params of the release that a run sets: by file, then by key. `{partition}` and its parts in a text are filled in.
Params = dict[RelativePath, dict[Annotated[str, Field(min_length=1)], str | int | float | bool]]


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
