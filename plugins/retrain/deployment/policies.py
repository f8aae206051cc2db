"""The sections of a pipeline's file that decide when a day is worth a message."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, PositiveInt

from retrain.deployment.sections import Calendar, Section
from retrain.deployment.values import RelativePath


class Drift(Section):
    """When drift is worth a message, and the report that it is read from.

    A feature weighs up to 1, by how much the model depends on it; its effect is its value as a multiple of its limit. A message
    opens when the features over their limits weigh `min_features` together, and either features that weigh 1 were over their
    limits on `days` of `of_days`, or the effects by weight, none above `high`, add up to `min_features * high`. Rows below
    `rows_below` times the median of the same weekdays, on `days` of `of_days`, open one too. Holidays never count.

    `calm_days` in a row end it. With few rows a limit is raised to the value that chance stays below with probability `confidence`.
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


class Performance(Section):
    """When the model's error is worth a message, and the metrics file that it is read from. A lower error is better.

    The file has `metric` in the sections `model` and `baselines`, and may have the bounds of the model's confidence interval in
    `<metric>_low` and `<metric>_high`; the lower bound then counts instead of the error. A message opens when it is more than
    `deviations` standard deviations above the median of the last `history_days`, or above a baseline on `days` of `of_days`.
    With less than `min_history` days of history only the baselines count.

    `calm_days` in a row end it. `unit` is shown with the values.
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


class Ordinary(Section):
    """A period in which nothing happened: at most this share of its days may open a message."""

    first: date
    last: date
    max_share: float = Field(gt=0, lt=1)


class Known(Section):
    """A known event: exactly one incident of this kind in the period, opened by the run of the partition `opened`."""

    kind: Literal["drift_detected", "performance_dropped"]
    first: date
    last: date
    opened: date


class Replay(Section):
    """The result that `make alerts-replay CHECK=1` expects of the policies on past days. `events` names days, for people."""

    ordinary: Ordinary
    incidents: tuple[Known, ...] = ()
    events: dict[date, str] = Field(default_factory=dict)


class Policies(Section):
    """All sections that a replay of the alerts needs."""

    calendar: Calendar | None = None
    drift: Drift | None = None
    performance: Performance | None = None
    replay: Replay | None = None
