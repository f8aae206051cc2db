"""One judged day: what the pipeline measured of it, as the policies read it and the ledger keeps it. Pure."""

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
class Feature:
    """One feature's distance from its reference.

    `kind` is input, target or prediction. `importance` is the share of the model's skill that an input carries, `bins` in how
    many bins the distance was taken; a pipeline may tell neither.
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
    """The model's error on the day's rows, in the metric's unit, and between what it surely lies, if the pipeline tells."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Day:
    """A partition's rows, the rows of each reference day, its features, the model's error, and that of each baseline."""

    partition: str
    rows: int
    reference_rows: int
    by_day: Mapping[str, int]
    features: tuple[Feature, ...]
    error: Error | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"schema_version": DAY_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], file: str) -> Day:
        """A day as `to_dict` wrote it, in this version or an earlier one.

        Raises:
            ReportError: a newer deployment wrote it, or it is no judged day.
        """
        _require_version(document, DAY_VERSION, file)
        try:
            fields = {name: value for name, value in document.items() if name != "schema_version"}
            fields["features"] = tuple(Feature(**feature) for feature in fields["features"])
            fields["error"] = Error(**fields["error"]) if fields["error"] else None
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise ReportError(f"{file} is no judged day: {error!r}. Somebody else wrote it.") from error


def read(
    partition: str, policies: Policies, report: Mapping[str, Any] | None, metrics: Mapping[str, Any] | None
) -> Day:
    """The day as the files say that the sections `drift` and `performance` of the pipeline's file name.

    Args:
        partition: whose run this is.
        policies: the pipeline's file; a section that it lacks is left out of the day.
        report: the drift report.
        metrics: the metrics.

    Raises:
        ReportError: a file breaks its contract, or is another day's.
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
        raise ReportError(f"{file} is the report of {day.partition}, this run is {partition}'s. Clear reproduce.")
    return day


def number(document: Mapping[str, Any], *keys: str) -> float:
    """The finite number that stands under these keys, one inside the other.

    Raises:
        KeyError, TypeError, ValueError: there is none; the last also for NaN and infinity, which compare with nothing: a limit is
            never passed by them. The message names the keys.
    """
    found: Any = document
    for key in keys:
        found = found[key]
    value = float(found)
    if not math.isfinite(value):
        raise ValueError(f"{'.'.join(keys)} is {value}, which is no number")
    return value


def _require_version(document: Mapping[str, Any], newest: int, file: str) -> None:
    version = document.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= newest:
        raise ReportError(
            f"{file} has schema_version {version!r}, this deployment reads 1 to {newest}. Deploy the one that fits."
        )


def _feature(entry: Mapping[str, Any]) -> Feature:
    bins = entry.get("bins")
    try:
        limit = number(entry, "limit")
        if not limit > 0:
            raise ValueError(f"limit is {limit}, which is not above 0")
        return Feature(
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
