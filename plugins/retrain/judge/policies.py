"""All policies over judged days: the same for the daily run and for a replay of history."""

from __future__ import annotations

from collections.abc import Iterable

from retrain.deployment.policies import Policies
from retrain.judge import drift, performance
from retrain.judge.day import Day
from retrain.judge.drift import DriftVerdict
from retrain.judge.performance import PerformanceVerdict


def walk(days: Iterable[Day], policies: Policies) -> tuple[list[DriftVerdict], list[PerformanceVerdict]]:
    """The verdicts of the drift policy and of the performance policy on each day.

    Args:
        days: judged days, oldest first, one for each partition.
        policies: the pipeline's file; a section that it lacks gives no verdicts.
    """
    known = list(days)
    drifts = drift.walk(known, policies.drift, policies.calendar, policies.schedule) if policies.drift else []
    errors = performance.walk(known, policies.performance, policies.schedule) if policies.performance else []
    return drifts, errors
