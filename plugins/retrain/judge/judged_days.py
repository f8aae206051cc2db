"""Judged days in the ledger: each finished run's day is kept there, and judged by the days kept before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from retrain.deployment.policies import Policies
from retrain.errors import RecordError
from retrain.judge import day
from retrain.judge.day import Day
from retrain.judge.drift import DriftVerdict
from retrain.judge.json_file import read_object
from retrain.judge.performance import PerformanceVerdict
from retrain.judge.policies import walk
from retrain.judge.run_days import runs_before
from retrain.run.run_spec import RunSpec
from retrain.store.ledger import Ledger

JUDGED = "judged"  # the kind of the ledger's events
# Days of the schedule: the longest history of an error (90) and a month for an episode that is open at its end.
_DAYS = 120


@dataclass(frozen=True)
class KeptDay:
    """A judged day as an event of the ledger: the day, and the release and run key of its run."""

    day: Day
    release: str
    run_key: str

    def to_json(self) -> dict[str, Any]:
        return {"day": self.day.to_dict(), "release": self.release, "run_key": self.run_key}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], partition: str) -> KeptDay:
        """Read what `to_json` wrote.

        Raises:
            ReportError: a newer deployment wrote the day, or it lacks a field.
            RecordError: the event lacks a field.
        """
        name = f"{JUDGED}/{partition}"
        try:
            return cls(Day.from_dict(document["day"], name), str(document["release"]), str(document["run_key"]))
        except KeyError as error:
            raise RecordError(
                f"The event {name} has no {error}. Another program wrote it: check who may write to the ledger."
            ) from error


@dataclass(frozen=True)
class Judged:
    """The days up to a run's own, oldest first, with the verdicts on them and the release of each partition.

    `newest` is True if no later day has been judged.
    """

    days: list[Day]
    drifts: list[DriftVerdict]
    errors: list[PerformanceVerdict]
    releases: dict[str, str]
    newest: bool

    @property
    def drift(self) -> DriftVerdict | None:
        """The drift policy's verdict on the run's own day; None without such a policy."""
        return self.drifts[-1] if self.drifts else None

    @property
    def performance(self) -> PerformanceVerdict | None:
        """The performance policy's verdict on the run's own day; None without such a policy."""
        return self.errors[-1] if self.errors else None


def judge_day(
    policies: Policies, ledger: Ledger, spec: RunSpec, checkout: Path, *, first_stands: bool = False
) -> Judged:
    """Keep the day of a finished run in the ledger, and judge it by the days before it.

    A second call changes nothing: the ledger keeps one day for each run key, and the same days give the same verdicts.

    Args:
        policies: the pipeline's file.
        ledger: where the day is kept.
        spec: the run.
        checkout: the run's checkout, with the files that the pipeline wrote.
        first_stands: True if a stage did not repeat itself. The day is then judged as an earlier attempt has kept it, if one has:
            the checkout lacks those of its files that DVC does not store.

    Raises:
        ReportError: a file that the pipeline declares is missing, or breaks its contract.
        StoreError: the ledger does not answer.
    """
    name = f"{spec.partition}-{spec.run_key}"
    kept_first = ledger.event_body(spec.pipeline, JUDGED, name) if first_stands else None
    if kept_first is None:
        own = KeptDay(read_day(policies, spec.partition, checkout), spec.release, spec.run_key)
        ledger.event(spec.pipeline, JUDGED, name, own.to_json())
    else:
        own = KeptDay.from_json(kept_first, spec.partition)
    first = runs_before(policies.schedule, spec.partition, _DAYS)
    last = (date.fromisoformat(spec.partition) - timedelta(days=1)).isoformat()
    kept = {**_kept(ledger, spec.pipeline, first, last), spec.partition: own}
    days = [each.day for each in kept.values()]
    releases = {partition: each.release for partition, each in kept.items()}
    later = ledger.has_later_event(spec.pipeline, JUDGED, f"{spec.partition}~")  # `~` sorts after every run key
    return Judged(days, *walk(days, policies), releases, newest=not later)


def read_day(policies: Policies, partition: str, checkout: Path) -> Day:
    """Read a day from the files in a finished checkout that the pipeline's file names.

    Raises:
        ReportError: a file is missing, or breaks its contract.
    """
    report = None if policies.drift is None else read_object(checkout / policies.drift.report)
    metrics = None if policies.performance is None else read_object(checkout / policies.performance.metrics)
    return day.read(partition, policies, report, metrics)


def kept_days(ledger: Ledger, pipeline: str, first: str = "", last: str = "9") -> list[Day]:
    """The judged days that the ledger keeps of the partitions from `first` to `last`, oldest first."""
    return [each.day for each in _kept(ledger, pipeline, first, last).values()]


def _kept(ledger: Ledger, pipeline: str, first: str, last: str) -> dict[str, KeptDay]:
    """By partition, oldest first."""
    events = ledger.daily_events(pipeline, JUDGED, first, last)
    return {partition: KeptDay.from_json(body, partition) for partition, body in events.items()}
