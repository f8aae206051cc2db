"""`pin`: says which release is live."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from retrain.airflow.api import AirflowApi
from retrain.commands import pin_moves
from retrain.commands.chosen_pipeline import pipelines_folder
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.deployment.pipeline_file import load
from retrain.errors import ConfigurationError
from retrain.run.release import Pin
from retrain.run.tag_pattern import THREE_NUMBERS, TagPattern


def add(commands: Subparsers) -> None:
    """Add `pin`, which has no arguments of its own."""
    add_command(commands, "pin", answer, "Say which release is live.")


def answer(options: argparse.Namespace) -> Answer:
    """The pin of the pipeline.

    Raises:
        NoPinError: no release is pinned.
    """
    return pin_answer(
        options.pipeline, pin_moves.required(airflow(options), options.pipeline, _pattern(options.pipeline))
    )


def _pattern(pipeline: str) -> TagPattern:
    try:
        return TagPattern.of(load(pipelines_folder() / f"{pipeline}.yaml"))
    except ConfigurationError:  # the pin is shown all the same: only the advice for an unset one needs the pattern
        return THREE_NUMBERS


def pin_answer(pipeline: str, pin: Pin) -> Answer:
    """A pin as the answer of each command that shows or moves it."""
    lines = [f"{pipeline} is on {pin.live.tag} ({pin.live.commit})"]
    if pin.previous:
        lines.append(f"before: {', '.join(release.tag for release in pin.previous)}")
    return Answer(asdict(pin), lines)


def airflow(options: argparse.Namespace) -> AirflowApi:
    """Airflow's API at the address of --airflow."""
    return AirflowApi(options.airflow.rstrip("/"))
