"""Whether a drift report is worth a message. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrain.deployment import Drift
from retrain.errors import ReportError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Feature:
    """One feature's distance from its reference. `kind` is input, target or prediction; `value` counts above `limit`."""

    name: str
    kind: str
    value: float
    limit: float

    @property
    def drifted(self) -> bool:
        return self.value > self.limit


@dataclass(frozen=True)
class Report:
    """A day's drift report. Rows are trips of the day and of its reference; no reference, no features."""

    partition: str
    current_rows: int
    reference_rows: int
    features: tuple[Feature, ...]


def read(document: Mapping[str, Any], file: str, partition: str) -> Report:
    """A report as the pipeline wrote it; ReportError when it breaks the contract or is another day's."""
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ReportError(
            f"{file} has schema_version {version!r}, this deployment reads {SCHEMA_VERSION}. Deploy the fitting one."
        )
    try:
        features = tuple(
            Feature(str(f["name"]), str(f["kind"]), float(f["value"]), float(f["limit"]))
            for f in document["features"]
            if f["value"] is not None
        )
        report = Report(
            str(document["partition"]), int(document["rows"]["current"]), int(document["rows"]["reference"]), features
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(
            f"{file} breaks the drift report's contract: {error!r}. Mend the stage that writes it."
        ) from error
    if report.partition != partition:
        raise ReportError(f"{file} is the report of {report.partition}, this run is {partition}'s. Clear reproduce.")
    return report


@dataclass(frozen=True)
class Verdict:
    """`alert` or not, and the features over their limit, the farthest over it first."""

    alert: bool
    drifted: tuple[Feature, ...]


def judge(report: Report, policy: Drift) -> Verdict:
    """An alert takes `min_drifted` of the features that the pipeline's file names; the others are shown, never alone enough."""
    drifted = tuple(sorted((f for f in report.features if f.drifted), key=lambda f: f.value / f.limit, reverse=True))
    counted = sum(1 for f in drifted if f.name in policy.alert_on)
    return Verdict(counted >= policy.min_drifted, drifted)
