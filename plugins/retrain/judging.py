"""A day is judged: its files are read, kept in the ledger for the days to come, and held against the days before."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from retrain import day, drift, error_picture, performance
from retrain.day import Day
from retrain.deployment import Policies
from retrain.drift import DriftVerdict
from retrain.errors import ReportError
from retrain.ledger import Ledger
from retrain.performance import PerformanceVerdict
from retrain.run_spec import RunSpec

JUDGED = "judged"
# The longest history of an error (90 days) and a month for a spell that is open at its end.
_DAYS = 120
_SHOWN = 42


def judge_day(
    policies: Policies, ledger: Ledger, spec: RunSpec, checkout: Path
) -> tuple[Day, DriftVerdict | None, PerformanceVerdict | None]:
    """The day of a finished run, and what the policies say of it, by the days before; None for a section that is not there.

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
    first = _before(spec.partition, _DAYS)
    past = [
        known for known in kept_days(ledger, spec.pipeline, first, spec.partition) if known.partition < spec.partition
    ]
    drifts, errors = walk([*past, judged], policies)
    return judged, drifts[-1] if drifts else None, errors[-1] if errors else None


def is_newest(ledger: Ledger, pipeline: str, partition: str) -> bool:
    """Whether no later partition has been judged."""
    return not ledger.daily_events(pipeline, JUDGED, _before(partition, -1))


def draw_errors(policies: Policies, ledger: Ledger, pipeline: str, partition: str) -> bytes | None:
    """A PNG of the error on the six weeks up to a judged partition; None for a pipeline without an error."""
    if policies.performance is None:
        return None
    kept = ledger.daily_events(pipeline, JUDGED, _before(partition, _DAYS), partition)
    days = [Day.from_dict(body["day"], f"{JUDGED}/{known}") for known, body in kept.items()]
    first = _before(partition, _SHOWN)
    return error_picture.draw(
        [known for known in days if known.partition > first],
        [verdict for verdict in walk(days, policies)[1] if verdict.partition > first],
        {known: body["release"] for known, body in kept.items()},
        list(ledger.daily_events(pipeline, "promotions", first, partition)),
        policies.performance.unit,
    )


def _before(partition: str, days: int) -> str:
    return (date.fromisoformat(partition) - timedelta(days=days)).isoformat()


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
    """A JSON object that the pipeline wrote; ReportError when it is not there, or none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(
            f"{path.name} cannot be read ({error}). The pipeline's file names it; mend that, or the stage that writes it."
        ) from error
    if not isinstance(document, dict):
        raise ReportError(f"{path.name} holds {type(document).__name__}, not an object. Mend the stage that writes it.")
    return document
