"""`replay`: computes a recorded day again and compares every output with the record."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from retrain.archive import replay
from retrain.archive.replay import Replayed, ReplayVerdict
from retrain.commands.chosen_pipeline import ChosenPipeline, add_day
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.work import workspace


def add(commands: Subparsers) -> None:
    """Add `replay` with the day."""
    text = (
        "Compute a day again from the raw bytes, without any cache, and compare every output and stage with the record."
    )
    add_day(add_command(commands, "replay", answer, text))


def answer(options: argparse.Namespace) -> Answer:
    """Every output and every stage compared; well if all are the same, but for stages that do not repeat themselves and their consequences.

    Raises:
        RetrainError: as `archive.replay.replay`.
    """
    chosen = ChosenPipeline(options.pipeline)
    record = chosen.record(options)
    tools = workspace.home() / "environments"
    done = replay.replay(record, chosen.ledger, chosen.deployment, chosen.services.credentials, tools=tools)
    lines = [
        f"{'same' if c.same else 'OTHER':6} {c.path:28} {c.recorded or '-':36} {c.recomputed or '-'}"
        for c in done.outputs
    ]
    lines += _others(done)
    verdict = "Every output is the same" if done.same else "Not every output is the same"
    if done.well and not done.same:
        verdict = (
            "Every output is the same but those of stages that do not repeat themselves, and of the stages after them"
        )
    lines.append(f"{verdict}, after {done.seconds:.0f} s without a cache.")
    if done.taken:
        lines.append(
            f"Not computed, but taken from the record, because they fetch their own data: {', '.join(done.taken)}."
        )
    lines += chosen.pruned_notes(record)
    return Answer({**asdict(done), "same": done.same, "well": done.well}, lines, done.well)


def _others(done: Replayed) -> list[str]:
    """A line for each stage with other outputs."""
    said = {
        ReplayVerdict.NOT_REPEATABLE: "is not repeatable",
        ReplayVerdict.CONSEQUENCE: "has other outputs as a consequence",
        ReplayVerdict.DIFFERENT: "has OTHER outputs",
    }
    return [
        f"Stage {stage.name} {said[stage.verdict]}: {stage.reason}." for stage in done.stages if stage.verdict in said
    ]
