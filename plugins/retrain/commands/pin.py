"""`pin`: says which release is live."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from retrain.airflow.api import AirflowApi
from retrain.commands import pin_moves
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.run.release import Pin


def add(commands: Subparsers) -> None:
    """Add `pin`, which has no arguments of its own."""
    add_command(commands, "pin", answer, "Say which release is live.")


def answer(options: argparse.Namespace) -> Answer:
    """The pin of the pipeline.

    Raises:
        NoPinError: no release is pinned.
    """
    return pin_answer(options.pipeline, pin_moves.required(airflow(options), options.pipeline))


def pin_answer(pipeline: str, pin: Pin) -> Answer:
    """A pin as the answer of each command that shows or moves it."""
    lines = [f"{pipeline} is on {pin.live.tag} ({pin.live.commit})"]
    if pin.previous:
        lines.append(f"before: {', '.join(release.tag for release in pin.previous)}")
    return Answer(asdict(pin), lines)


def airflow(options: argparse.Namespace) -> AirflowApi:
    """Airflow's API at the address of --airflow."""
    return AirflowApi(options.airflow.rstrip("/"))
