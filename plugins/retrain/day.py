"""One judged day: what the pipeline measured of it, as the policies read it and the ledger keeps it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retrain.deployment import Performance, Policies
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
        """A day as `to_dict` wrote it; ReportError when it is of another version, or none."""
        version = document.get("schema_version")
        if version != DAY_VERSION:
            raise ReportError(
                f"{file} has schema_version {version!r}, this deployment reads {DAY_VERSION}. Deploy the one that wrote it."
            )
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
    version = report.get("schema_version")
    if version != REPORT_VERSION:
        raise ReportError(
            f"{file} has schema_version {version!r}, this deployment reads {REPORT_VERSION}. Deploy the fitting one."
        )
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
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise ReportError(
            f"{file} breaks the drift report's contract: {problem!r}. Mend the stage that writes it."
        ) from problem
    if day.partition != partition:
        raise ReportError(f"{file} is the report of {day.partition}, this run is {partition}'s. Clear reproduce.")
    return day


def _feature(entry: Mapping[str, Any]) -> Feature:
    importance, bins = entry.get("importance"), entry.get("bins")
    limit = float(entry["limit"])
    if not limit > 0:
        raise ValueError(f"limit {limit} of {entry['name']} is not above 0")
    return Feature(
        str(entry["name"]),
        str(entry["kind"]),
        float(entry["value"]),
        limit,
        str(entry.get("measure", "psi")),
        None if importance is None else float(importance),
        None if bins is None else int(bins),
    )


def _errors(metrics: Mapping[str, Any], performance: Performance) -> tuple[Error, dict[str, float]]:
    name = performance.metric
    try:
        of_model = metrics[performance.model]
        low, high = of_model.get(f"{name}_low"), of_model.get(f"{name}_high")
        error = Error(
            name, float(of_model[name]), None if low is None else float(low), None if high is None else float(high)
        )
        return error, {baseline: float(metrics[baseline][name]) for baseline in performance.baselines}
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise ReportError(
            f"{performance.metrics} does not hold {name} of {performance.model} and its baselines ({problem!r}). "
            "Correct performance in the pipeline's file."
        ) from problem
