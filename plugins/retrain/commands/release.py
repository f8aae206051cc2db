"""`release`: makes a tag live."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from retrain.commands import pin_moves
from retrain.commands.chosen_pipeline import ChosenPipeline
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.commands.pin import airflow, pin_answer
from retrain.inputs.release_check import require_runnable
from retrain.work.dvc.project_root import project_root
from retrain.work.environments import uv


def add(commands: Subparsers) -> None:
    """Add `release` with the tag."""
    add_command(commands, "release", answer, "Make a tag live.").add_argument("tag", help="vX.Y.Z")


def answer(options: argparse.Namespace) -> Answer:
    """The pin after the release.

    Raises:
        ReleaseError: the tag cannot be released.
        PinConflictError: somebody else moved the pin at the same moment.
    """
    chosen, api = ChosenPipeline(options.pipeline), airflow(options)
    origin = options.repository or chosen.deployment.repository.url

    def examine(checkout: Path) -> None:
        project = project_root(checkout, chosen.deployment.repository.folder)
        require_runnable(chosen.deployment, project, chosen.dvc(project), options.tag)

    # Without uv, as in the api-server's container, DVC cannot be asked here; `reproduce` is then the first to find out.
    asked = examine if uv.is_there() and os.environ.get("RETRAIN_HOME") else None
    return pin_answer(
        options.pipeline, pin_moves.deploy(api, chosen.ledger, options.pipeline, origin, options.tag, asked)
    )
