"""The promotion gate: whether a new model version becomes the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from retrain.run.partition import parse


@dataclass(frozen=True)
class Champion:
    """The model version that consumers use: its number in MLflow, and the partition that it was trained on."""

    version: str
    partition: str

    def age(self, partition: str) -> int:
        """Days from the champion's partition to another one."""
        return (parse(partition) - parse(self.partition)).days


class Rival(StrEnum):
    """The kind of model that the challenger did not beat."""

    BASELINE = "baseline"
    CHAMPION = "champion"


@dataclass(frozen=True)
class Decision:
    """The gate's answer, with a sentence for people. `lost_to` is None unless the challenger was scored and lost."""

    promote: bool
    reason: str
    lost_to: Rival | None = None


def may_compete(partition: str, champion: Champion | None, newest: str, *, backfill: bool) -> Decision:
    """Decide, before anything is scored, whether this run may promote its model at all.

    Only the newest partition may: a champion of a later day has been trained on the rows of an older partition.

    Args:
        partition: the run's.
        champion: the present champion; None if there is none.
        newest: the newest partition of which there is a model version.
        backfill: whether the run is a backfill.
    """
    if backfill:
        return Decision(promote=False, reason="Backfills never promote.")
    if partition < newest:
        return Decision(promote=False, reason=f"{partition} is not the newest partition, {newest} is.")
    if champion is not None and partition < champion.partition:
        return Decision(promote=False, reason=f"The champion is of {champion.partition}, newer than {partition}.")
    return Decision(promote=True, reason="newest partition")


def judge(metric: str, challenger: float, champion: float | None, baselines: Mapping[str, float]) -> Decision:
    """Promote a challenger that beats every baseline and the champion. Lower is better, and a tie is not better.

    Args:
        metric: the name of the error.
        challenger: the new model's error.
        champion: the champion's error; None if there is no champion.
        baselines: the error of each baseline. All errors are in the metric's unit, on the same rows.
    """
    for name, value in baselines.items():
        if not challenger < value:
            reason = f"{metric} {challenger:.3f} does not beat the baseline {name} ({value:.3f})."
            return Decision(promote=False, reason=reason, lost_to=Rival.BASELINE)
    if champion is None:
        return Decision(promote=True, reason=f"{metric} {challenger:.3f} beats the baselines; there was no champion.")
    if not challenger < champion:
        reason = f"{metric} {challenger:.3f} does not beat the champion's {champion:.3f}."
        return Decision(promote=False, reason=reason, lost_to=Rival.CHAMPION)
    return Decision(promote=True, reason=f"{metric} {challenger:.3f} beats the champion's {champion:.3f}.")


def worth_a_message(decision: Decision, partition: str, champion: Champion | None, champion_days: int) -> str | None:
    """A sentence on why people should hear of this refusal; None for an ordinary one, and for a promotion.

    If a baseline beats the model, either the model or its day is broken. Losing to the champion is ordinary, until the champion
    is older than `champion_days`: then retraining has not helped for that long.
    """
    if decision.lost_to is Rival.BASELINE:
        return f"{decision.reason} A simple rule is better than the newly trained model."
    if decision.lost_to is Rival.CHAMPION and champion is not None:
        age = champion.age(partition)
        if age > champion_days:
            return f"{decision.reason} The champion is {age} days old (limit {champion_days}), and no newer model beats it."
    return None
