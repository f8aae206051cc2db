"""The sections of a pipeline's file that decide when a day is worth a message."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, PositiveInt

from retrain.deployment.sections import Calendar, Schedule, Section
from retrain.deployment.values import RelativePath


class Drift(Section):
    """When drift is worth a message.

    A feature weighs up to 1, by how much the model depends on it; its effect is its value as a multiple of its limit. A message
    opens when the features over their limits weigh `min_features` together, and either features that weigh 1 were over their
    limits on `days` of `of_days`, or the effects by weight, none above `high`, add up to `min_features * high`. Too few rows on
    `days` of `of_days` open one too. Holidays never count, and all days are those that the schedule runs.
    """

    report: RelativePath
    """File of the checkout with the drift report."""
    picture: RelativePath | None = None
    """File of the checkout with the picture for the thread."""
    min_features: float = Field(default=2.0, gt=0)
    """Features over their limits on one day, weighted by their importance."""
    days: PositiveInt = 3
    """Days with at least one such feature that make an alert ..."""
    of_days: PositiveInt = 7
    """... among this many days that the schedule runs."""
    high: float = Field(default=4.0, gt=1)
    """Effects this many times over their limits alert on their first day."""
    calm_days: PositiveInt = 7
    """Calm days in a row that end the incident."""
    rows_below: float = Field(default=0.5, ge=0, lt=1)
    """Fewer rows than this share of the same weekdays' median count as drift."""
    confidence: float = Field(default=0.999, gt=0.5, lt=1)
    """With few rows a limit is raised to the value that chance stays below with this probability."""


class Performance(Section):
    """When the model's error is worth a message: it left its own history, or a baseline is better.

    If the file has the bounds of the model's confidence interval, the lower bound counts instead of the error. All days are those
    that the schedule runs.
    """

    metrics: RelativePath
    """File of the checkout with the day's metrics."""
    model: str
    """Section of that file with the model's error, and `<metric>_low` and `<metric>_high` if there is an interval."""
    metric: str
    """The error; lower is better."""
    unit: str = ""
    """Its unit, for the message."""
    baselines: tuple[str, ...] = ()
    """Sections of that file with the baselines' errors."""
    history_days: int = Field(default=42, ge=7, le=90)
    """Earlier days that the schedule runs, whose errors give the median."""
    min_history: PositiveInt = 14
    """With fewer earlier days only the baselines count."""
    deviations: float = Field(default=3.0, gt=0)
    """The error's lower bound is this many standard deviations above the median."""
    days: PositiveInt = 3
    """Days worse than a baseline, with confidence, that make an alert ..."""
    of_days: PositiveInt = 7
    """... among this many days that the schedule runs."""
    calm_days: PositiveInt = 3
    """Calm days in a row that end the incident."""


class Ordinary(Section):
    """A period in which nothing happened."""

    first: date
    """First day of a time in which almost no day may alert, for `make alerts-replay CHECK=1`."""
    last: date
    """Last day of that time."""
    max_share: float = Field(gt=0, lt=1)
    """The share of its days that may open a message."""


class Known(Section):
    """A known event: exactly one incident of its kind in a period."""

    kind: Literal["drift_detected", "performance_dropped"]
    """`drift_detected` or `performance_dropped`, of which there must be exactly one in the period."""
    first: date
    """First day of the period."""
    last: date
    """Last day of the period."""
    opened: date
    """The partition whose run opens it."""


class Replay(Section):
    """The result that `make alerts-replay CHECK=1` expects of the policies on past days."""

    ordinary: Ordinary
    incidents: tuple[Known, ...] = ()
    events: dict[date, str] = Field(default_factory=dict)
    """Names of days, shown in the replay."""


class Policies(Section):
    """All sections that a replay of the alerts needs.

    The policies count the days that `schedule` runs; without a schedule, every day.
    """

    schedule: Schedule | None = None
    calendar: Calendar | None = None
    drift: Drift | None = None
    performance: Performance | None = None
    replay: Replay | None = None
