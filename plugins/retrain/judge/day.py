"""A judged day: the measurements of a partition that the policies read, in the form that the ledger keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retrain.deployment.policies import Performance, Policies
from retrain.errors import ReportError

REPORT_VERSION = 1
DAY_VERSION = 1


@dataclass(frozen=True)
class MeasuredFeature:
    """One feature's distance from its reference.

    `kind` is input, target or prediction. `value` and `limit` are in the unit of `measure`. `importance` is the share of the
    model's skill that an input carries, 0 to 1; `bins` the number of bins that the distance was computed with. Both are None if
    the pipeline does not report them.
    """

    name: str
    kind: str
    value: float
    limit: float
    measure: str = "psi"
    importance: float | None = None
    bins: int | None = None


@dataclass(frozen=True)
class Error:
    """The model's error on the day's rows, in the metric's unit.

    `low` and `high` bound its confidence interval; None if the pipeline reports none.
    """

    metric: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval, if both of its ends are known."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def lower_bound(self) -> float:
        """The lower end of the confidence interval; the error itself without one."""
        return self.value if self.low is None else self.low


@dataclass(frozen=True)
class Day:
    """The measurements of one partition.

    `rows` and `reference_rows` count the rows of the partition and of its whole reference; `by_day` the rows of each reference
    day, by partition. `baselines` holds the error of each baseline, in the same unit as `error`.
    """

    partition: str
    rows: int
    reference_rows: int
    by_day: Mapping[str, int]
    features: tuple[MeasuredFeature, ...]
    error: Error | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The day as JSON holds it, with `schema_version`."""
        return {"schema_version": DAY_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], file: str) -> Day:
        """Read a day as `to_dict` wrote it, in this version or an earlier one. `file` names the document in errors.

        Raises:
            ReportError: a newer deployment wrote the document, or it lacks a field.
        """
        _require_version(document, DAY_VERSION, file)
        try:
            fields = {name: value for name, value in document.items() if name != "schema_version"}
            fields["features"] = tuple(MeasuredFeature(**feature) for feature in fields["features"])
            fields["error"] = Error(**fields["error"]) if fields["error"] else None
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ReportError(
                f"{file} is not a judged day: {error!r}. Another program wrote it: check who may write to the ledger."
            ) from error


def read(
    partition: str, policies: Policies, report: Mapping[str, Any] | None, metrics: Mapping[str, Any] | None
) -> Day:
    """Read a day from the files that the pipeline wrote.

    Args:
        partition: the run's partition.
        policies: the pipeline's file, which names the files; what a missing section would name is left out of the day.
        report: the content of the drift report; None without the section `drift`.
        metrics: the content of the metrics file; None without the section `performance`.

    Raises:
        ReportError: a file breaks its contract, or the report is of another day.
    """
    error: Error | None = None
    baselines: dict[str, float] = {}
    if policies.performance is not None:
        error, baselines = _errors(metrics or {}, policies.performance)
    if policies.drift is None:
        rows = (metrics or {}).get("rows")
        return Day(partition, rows if isinstance(rows, int) else 0, 0, {}, (), error, baselines)
    file, report = policies.drift.report, report or {}
    _require_version(report, REPORT_VERSION, file)
    try:
        rows = report["rows"]
        day = Day(
            str(report["partition"]),
            int(rows["current"]),
            int(rows["reference"]),
            {str(past): int(count) for past, count in rows.get("by_day", {}).items()},
            tuple(_feature(entry) for entry in report["features"] if entry["value"] is not None),
            error,
            baselines,
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as problem:
        raise ReportError(
            f"{file} breaks the drift report's contract: {problem!r}. Fix the stage that writes it in a new release."
        ) from problem
    if day.partition != partition:
        raise ReportError(f"{file} is the report of {day.partition}, but this run is of {partition}. Clear reproduce.")
    return day


def number(document: Mapping[str, Any], *keys: str) -> float:
    """The finite number under nested keys.

    Raises:
        KeyError: a key is missing.
        TypeError: a value on the way is not an object, or the last one is not a number.
        ValueError: the value is not a number, or is NaN or infinite, which no limit would catch. The message names the keys.
    """
    found: Any = document
    for key in keys:
        found = found[key]
    value = float(found)
    if not math.isfinite(value):
        raise ValueError(f"{'.'.join(keys)} is {value}, which is not a number")
    return value


def _require_version(document: Mapping[str, Any], newest: int, file: str) -> None:
    version = document.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= newest:
        raise ReportError(
            f"{file} has schema_version {version!r}, this deployment reads 1 to {newest}. Deploy a version that reads it."
        )


def _feature(entry: Mapping[str, Any]) -> MeasuredFeature:
    bins = entry.get("bins")
    try:
        limit = number(entry, "limit")
        if not limit > 0:
            raise ValueError(f"limit is {limit}, which is not above 0")
        return MeasuredFeature(
            str(entry["name"]),
            str(entry["kind"]),
            number(entry, "value"),
            limit,
            str(entry.get("measure", "psi")),
            _optional(entry, "importance"),
            None if bins is None else int(bins),
        )
    except ValueError as problem:
        raise ValueError(f"feature {entry.get('name')}: {problem}") from problem


def _optional(document: Mapping[str, Any], key: str) -> float | None:
    return None if document.get(key) is None else number(document, key)


def _errors(metrics: Mapping[str, Any], performance: Performance) -> tuple[Error, dict[str, float]]:
    name = performance.metric
    try:
        of_model = metrics[performance.model]
        error = Error(
            name, number(of_model, name), _optional(of_model, f"{name}_low"), _optional(of_model, f"{name}_high")
        )
        return error, {baseline: number(metrics, baseline, name) for baseline in performance.baselines}
    except (AttributeError, KeyError, TypeError) as problem:
        raise ReportError(
            f"{performance.metrics} does not hold {name} of {performance.model} and its baselines ({problem!r}). "
            "Correct performance in the pipeline's file."
        ) from problem
    except ValueError as problem:
        raise ReportError(
            f"{performance.metrics} has no usable {name} of {performance.model} or a baseline: {problem}. "
            "Look at the stage that writes it: the training may have diverged."
        ) from problem
