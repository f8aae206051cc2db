"""`replay`: computes a recorded day again and compares every output with the record."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from retrain.archive import replay
from retrain.commands.chosen_pipeline import ChosenPipeline, add_day
from retrain.commands.command import Answer, Subparsers, add_command


def add(commands: Subparsers) -> None:
    """Add `replay` with the day."""
    text = "Compute a day again from the raw bytes, without any cache, and compare every output with the record."
    add_day(add_command(commands, "replay", answer, text))


def answer(options: argparse.Namespace) -> Answer:
    """Every output compared; well if all are the same.

    Raises:
        RetrainError: as `archive.replay.replay`.
    """
    chosen = ChosenPipeline(options.pipeline)
    record = chosen.record(options)
    done = replay.replay(record, chosen.ledger, chosen.deployment, chosen.services.credentials)
    lines = [
        f"{'same' if c.same else 'OTHER':6} {c.path:28} {c.recorded or '-':36} {c.recomputed or '-'}"
        for c in done.outputs
    ]
    verdict = "Every output is the same" if done.same else "Not every output is the same"
    lines.append(f"{verdict}, after {done.seconds:.0f} s without a cache.")
    if done.taken:
        lines.append(
            f"Not computed, but taken from the record, because they fetch their own data: {', '.join(done.taken)}."
        )
    lines += chosen.pruned_notes(record)
    return Answer({**asdict(done), "same": done.same}, lines, done.same)
