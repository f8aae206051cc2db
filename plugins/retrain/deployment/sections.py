"""The sections of a pipeline's file that define its runs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from retrain.deployment.git_address import parsed
from retrain.deployment.values import (
    ConnectionId,
    DailyCron,
    FileName,
    InputNames,
    MarkerPattern,
    PackageName,
    PartitionPattern,
    PythonVersion,
    RelativePath,
    S3Url,
    SingleValue,
    TagPattern,
    TimeOfDay,
    TimeZone,
)

DEFAULT_PARTITION = "dt={partition}"


class Section(BaseModel):
    """A section of the file. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Section):
    """When the runs start. The run of a day starts when the next day's data interval does: see `retrain.run.partition`."""

    cron: DailyCron
    """When the next day's run starts, once a day at most. Minute and hour are plain numbers."""
    timezone: TimeZone = "UTC"
    """The time zone of the schedule, whose days the partitions are."""
    start_date: date
    """The first day."""


class Repository(Section):
    """Where the releases come from."""

    url: str = Field(min_length=1)
    """The Git origin of the releases: an http, https or SSH address, or a folder. A password or a token in it is refused: that is the connection's."""
    connection: ConnectionId | None = None
    """Airflow's connection with the SSH key, or with the user and token, of a private origin and its submodules."""
    folder: RelativePath = "."
    """The folder of the DVC project. All other paths of this file are relative to the top of its DVC project: the nearest folder with a `.dvc`, from here upwards, else this folder."""
    environment: RelativePath | None = None
    """The folder of the repository with the files that name the packages, or one of these files, such as `requirements/prod.txt`; by default `repository.folder`."""
    tags: TagPattern | None = None
    """The pattern of the tags that are releases: `{version}` once, and `{name}` for the pipeline's name, such as `"{name}@v{version}"`, in quotes; by default `vX.Y.Z`. [Tags and labels](bring-your-own-pipeline.md#tags-and-labels) has the versions."""
    prereleases: bool = False
    """`true`: a version such as `1.4.0-rc.1` is a release too."""

    @field_validator("url")
    @classmethod
    def _has_no_secret(cls, url: str) -> str:
        found = parsed(url)
        if found is not None and found.has_secret:
            raise ValueError(
                f"the address on {found.host} has a password or a token in it, which would be shown. Remove it, and name an Airflow "
                "connection with it in repository.connection (infra/docs/origins.md)"
            )
        if found is None:
            raise ValueError(
                "not an address that Git may be given. Write an https or ssh URL, user@host:path, or a folder"
            )
        return url

    @property
    def packages_folder(self) -> str:
        """The folder of the repository, or the file in it, that names its packages."""
        return self.environment or self.folder


class Packages(Section):
    """How the packages of a release are resolved, where its own files do not say it."""

    python: PythonVersion | None = None
    """The minor version of Python, from "3.10" to "3.13", in quotes; by default the deployment's own. The workers need it."""
    lock: FileName | None = None
    """A requirements file beside this file, which is used instead of the repository's own files."""
    as_of: Literal["commit", "today"] | date = "commit"
    """The day as of which packages without a pinned version are resolved: that of the release's commit, `today`, or a date."""
    extras: tuple[PackageName, ...] = ()
    """Optional dependencies of the project that are installed too, with a lock or a `pyproject.toml`."""
    groups: tuple[PackageName, ...] = ()
    """Dependency groups of the project, or sections of a `Pipfile.lock`, that are installed too."""


class DvcRemote(Section):
    """A remote of the release's own, from which its tracked inputs are fetched."""

    connection: ConnectionId
    """Airflow's connection with its credentials."""


class Secret(Section):
    """The value of a variable that a stage gets, from Airflow. It is masked in logs and messages."""

    connection: ConnectionId | None = None
    """The Airflow connection that has the value."""
    value: str = Field(default="password", min_length=1)
    """The part of the connection: `password`, `login`, `host`, `port`, `schema`, `uri`, or a key of its extra."""
    variable: str | None = Field(default=None, min_length=1)
    """Instead of `connection`: the Airflow Variable with the value."""

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Self:
        if (self.connection is None) == (self.variable is None):
            raise ValueError("a secret has either a connection or a variable. Name one of them")
        return self


class Raw(Section):
    """The raw partitions. A run reads a window of them, and waits until the last one has landed: see `retrain.run.raw_layout`."""

    url: S3Url
    """The folder of the raw partitions."""
    window_days: PositiveInt
    """How many days a run reads, the partition included."""
    partition: PartitionPattern = DEFAULT_PARTITION
    """The pattern of a partition's folder, or of its files, with the date in it."""
    marker: MarkerPattern | None = "_SUCCESS"
    """The object that is landed last: a name in the partition's folder; with a leading slash, a name below `raw.url`. `null` if the producer writes none."""
    quiet_minutes: PositiveInt | None = None
    """Without a marker: a partition has landed when no object has come for this long."""
    poke_seconds: PositiveInt = 60
    """How often the marker, or the queue, is asked for."""
    give_up_after_hours: float = Field(default=48, gt=0)
    """The longest wait for the partition."""
    queue: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Address of the SQS queue with S3's messages about this pipeline's new objects. No other pipeline may read it."""

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
    """Raw objects that are laid at a path of the checkout before `dvc repro`."""

    path: RelativePath
    """The path in the checkout. A file or folder that the commit has there is replaced for the run, a `.dvc` file of it too."""
    days: Literal["window", "partition"] = "window"
    """`window`: the objects of all days of the window. `partition`: those of the run's day alone."""
    names: InputNames = "keep"
    """Where an object goes below `path`: `keep` (its key below `raw.url`), `flat` (its name alone), or a pattern such as `{year}/{partition}-{name}`. `file`: `path` is the one object itself."""
    objects: str = Field(default="*", min_length=1, pattern=r"^[^/]+$")
    """Only the objects whose name matches, such as `orders*.csv`."""

    @model_validator(mode="after")
    def _one_file_is_of_one_day(self) -> Self:
        if self.names == "file" and self.days != "partition":
            raise ValueError("names: file lays one object at the path itself, which needs days: partition")
        return self


# The params of the release that a run sets: by file, then by key. `{partition}` and its parts in a text are filled in.
Params = dict[RelativePath, dict[Annotated[str, Field(min_length=1)], SingleValue]]


class Expected(Section):
    """Deadlines on the day on which the partition's run starts, in the schedule's time zone.

    With a daily schedule that is the day after the partition.
    """

    landed: TimeOfDay | None = None
    """Deadline of the day's raw data, "HH:MM"; later is `data_late`. Required with `raw`; without it there is none."""
    recorded: TimeOfDay
    """Deadline of the recorded run; later is `pipeline_silent`. It is after the time of `schedule.cron`."""
    not_on: tuple[Literal["weekends", "holidays"], ...] = ()
    """`weekends`, `holidays`: a deadline on such a day moves to the next day that is neither."""


class Calendar(Section):
    """The public holidays of a country, or of its subdivision."""

    country: str = Field(pattern=r"^[A-Z]{2}$")
    """The country whose holidays count, by its two letters, as the library `holidays` names it."""
    subdivision: str | None = Field(default=None, min_length=1)
    """Its state or region, if that has other holidays."""


class Limits(Section):
    """Limits of a run."""

    reproduce_minutes: PositiveInt = 120
    """The longest time that `dvc repro` may take."""
    min_free_disk_mb: PositiveInt = 1024
    """Free disk space, in MB, that `reproduce` needs."""
    retries: int = Field(default=2, ge=0, le=10)
    """How often a failed task is tried again."""
    retry_seconds: PositiveInt = 60
    """The first pause before a retry; each later one is twice as long."""


class TrackingSection(Section):
    """How MLflow names the pipeline's runs and its model."""

    experiment: str = Field(min_length=1)
    """The MLflow experiment."""
    model: str | None = None
    """The name of the registered model, if the pipeline has one."""


class Promotion(Section):
    """How challenger and champion are scored and compared."""

    score: tuple[str, ...] = Field(min_length=1)
    """The command that scores a model: `score MODEL_DIR ROWS OUT_JSON`."""
    rows: RelativePath
    """File of the checkout with the rows to score."""
    metrics: RelativePath
    """File of the checkout with the day's metrics."""
    challenger: str
    """Section of that file with the new model's metrics."""
    baselines: tuple[str, ...] = ()
    """Sections of that file with the metrics of the baselines."""
    metric: str
    """The metric that decides; lower is better."""
    champion_days: PositiveInt = 14
    """A champion that is older and still not beaten is an alert."""


class SlackSection(Section):
    """Where messages go."""

    channel: str = Field(pattern=r"^[#A-Z]\S+$")
    """The channel of the messages."""
