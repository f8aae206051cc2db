"""The promotion gate: whether the challenger becomes champion, and why or why not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Champion:
    """The model version that consumers are on."""

    version: str
    partition: str


@dataclass(frozen=True)
class Decision:
    """What the gate said, in a sentence for people."""

    promote: bool
    reason: str


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
            return Decision(
                promote=False, reason=f"{metric} {challenger:.3f} does not beat the baseline {name} ({value:.3f})."
            )
    if champion is None:
        return Decision(promote=True, reason=f"{metric} {challenger:.3f} beats the baselines; there was no champion.")
    if not challenger < champion:
        return Decision(promote=False, reason=f"{metric} {challenger:.3f} does not beat the champion's {champion:.3f}.")
    return Decision(promote=True, reason=f"{metric} {challenger:.3f} beats the champion's {champion:.3f}.")
