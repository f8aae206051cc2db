"""The promotion gate: whether the challenger becomes champion, why or why not, and whether a refusal is worth a message. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


@dataclass(frozen=True)
class Champion:
    """The model version that consumers are on."""

    version: str
    partition: str


class Rival(StrEnum):
    """What the challenger did not beat."""

    BASELINE = "baseline"
    CHAMPION = "champion"


@dataclass(frozen=True)
class Decision:
    """What the gate said, in a sentence for people. `lost_to` is None unless it was scored and lost."""

    promote: bool
    reason: str
    lost_to: Rival | None = None


def may_compete(partition: str, champion: Champion | None, newest: str, *, backfill: bool) -> Decision:
    """Whether this run is in a position to promote at all, before anything is scored.

    A champion may have been trained on an older day, so only the newest partition compares fairly.
    """
    if backfill:
        return Decision(promote=False, reason="Backfills never promote.")
    if partition < newest:
        return Decision(promote=False, reason=f"{partition} is not the newest partition, {newest} is.")
    if champion is not None and partition < champion.partition:
        return Decision(promote=False, reason=f"The champion is of {champion.partition}, newer than {partition}.")
    return Decision(promote=True, reason="newest partition")


def judge(metric: str, challenger: float, champion: float | None, baselines: Mapping[str, float]) -> Decision:
    """Promote only what beats every baseline and the champion, all on the same rows; lower is better, a tie is not better."""
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
    """Why somebody should know of a refusal, in a sentence; None when it is ordinary.

    A model that a simple rule beats is broken, or its day is. Losing to the champion is ordinary from one day to the next,
    until the champion is older than `champion_days`: then retraining has not helped for that long.
    """
    if decision.lost_to is Rival.BASELINE:
        return f"{decision.reason} A simple rule is better than the newly trained model."
    if decision.lost_to is Rival.CHAMPION and champion is not None:
        age = (date.fromisoformat(partition) - date.fromisoformat(champion.partition)).days
        if age > champion_days:
            return f"{decision.reason} The champion is {age} days old (limit {champion_days}), and no newer model beats it."
    return None
