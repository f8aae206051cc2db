"""`rollback`: makes the release before the live one live again."""

from __future__ import annotations

import argparse

from retrain.commands import pin_moves
from retrain.commands.chosen_pipeline import ChosenPipeline
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.commands.pin import airflow, pin_answer
from retrain.run.tag_pattern import TagPattern


def add(commands: Subparsers) -> None:
    """Add `rollback`, which has no arguments of its own."""
    add_command(commands, "rollback", answer, "Go back to the release before.")


def answer(options: argparse.Namespace) -> Answer:
    """The pin after the rollback.

    Raises:
        NoPinError: no release is pinned.
        NoEarlierReleaseError: no other release was pinned before.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    api, chosen = airflow(options), ChosenPipeline(options.pipeline)
    pattern = TagPattern.of(chosen.deployment)
    return pin_answer(options.pipeline, pin_moves.roll_back(api, chosen.ledger, options.pipeline, pattern))
