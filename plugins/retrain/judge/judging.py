"""A day is judged: its files are read, kept in the ledger for the days to come, and held against the days before."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from retrain.deployment.policies import Policies
from retrain.errors import ReportError
from retrain.judge import day, drift, performance
from retrain.judge.day import Day
from retrain.judge.drift import DriftVerdict
from retrain.judge.performance import PerformanceVerdict
from retrain.run.run_spec import RunSpec
from retrain.store.ledger import Ledger

JUDGED = "judged"
# The longest history of an error (90 days) and a month for a spell that is open at its end.
_DAYS = 120


@dataclass(frozen=True)
class Judged:
    """A day and the days before it, oldest first, with what each policy says of each, and the release of each partition.

    `newest`: no later day has been judged.
    """

    days: list[Day]
    drifts: list[DriftVerdict]
    errors: list[PerformanceVerdict]
    releases: dict[str, str]
    newest: bool

    @property
    def drift(self) -> DriftVerdict | None:
        return self.drifts[-1] if self.drifts else None

    @property
    def performance(self) -> PerformanceVerdict | None:
        return self.errors[-1] if self.errors else None


def judge_day(policies: Policies, ledger: Ledger, spec: RunSpec, checkout: Path) -> Judged:
    """The day of a finished run, kept, and what the policies say of it by the days before.

    Clearing the task changes nothing: the day is kept once a run key, and the same days give the same verdicts.

    Raises:
        ReportError: a file that the pipeline declares is missing, or breaks its contract.
        StoreError: the ledger does not answer.
    """
    report = None if policies.drift is None else read_json(checkout / policies.drift.report)
    metrics = None if policies.performance is None else read_json(checkout / policies.performance.metrics)
    judged = day.read(spec.partition, policies, report, metrics)
    body = {"day": judged.to_dict(), "release": spec.release, "run_key": spec.run_key}
    ledger.event(spec.pipeline, JUDGED, f"{spec.partition}-{spec.run_key}", body)
    today = date.fromisoformat(spec.partition)
    first, last = ((today - timedelta(days=back)).isoformat() for back in (_DAYS, 1))
    before = ledger.daily_events(spec.pipeline, JUDGED, first, last)
    later = ledger.event_names(
        spec.pipeline, JUDGED, after=f"{spec.partition}~"
    )  # sorts behind each run key of the day
    days = [*(Day.from_dict(event["day"], f"{JUDGED}/{partition}") for partition, event in before.items()), judged]
    releases = {partition: str(event["release"]) for partition, event in before.items()}
    return Judged(days, *walk(days, policies), {**releases, spec.partition: spec.release}, newest=not later)


def kept_days(ledger: Ledger, pipeline: str, first: str = "", last: str = "9") -> list[Day]:
    """The judged days that the ledger keeps of the partitions from `first` to `last`, by partition."""
    kept = ledger.daily_events(pipeline, JUDGED, first, last)
    return [Day.from_dict(body["day"], f"{JUDGED}/{partition}") for partition, body in kept.items()]


def walk(days: Iterable[Day], policies: Policies) -> tuple[list[DriftVerdict], list[PerformanceVerdict]]:
    """What each policy says of each day, oldest first. Pure: the same for the daily run and for a replay."""
    known = list(days)
    drifts = drift.walk(known, policies.drift, policies.calendar) if policies.drift else []
    errors = performance.walk(known, policies.performance) if policies.performance else []
    return drifts, errors


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that the pipeline wrote. Python's JSON may hold NaN and Infinity: take its numbers with `day.number`.

    Raises:
        ReportError: it is not there, or is no JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(
            f"{path.name} cannot be read ({error}). The pipeline's file names it; mend that, or the stage that writes it."
        ) from error
    if not isinstance(document, dict):
        raise ReportError(f"{path.name} holds {type(document).__name__}, not an object. Mend the stage that writes it.")
    return document
