"""`restore`: writes a recorded day to an empty folder."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from retrain.archive import restore
from retrain.commands.chosen_pipeline import ChosenPipeline, add_day
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.commands.progress import bar
from retrain.inputs.raw_cache import RawObjects
from retrain.work import pipeline_caches, workspace


def add(commands: Subparsers) -> None:
    """Add `restore` with the day, the folder, --no-environment and --no-inputs."""
    text = "Bring a day back: code, data, model, reports and environment, verified."
    parser = add_command(commands, "restore", answer, text)
    add_day(parser)
    parser.add_argument("dest", help="an empty folder, or one that does not exist yet")
    parser.add_argument("--no-environment", action="store_true", help="leave the environment out")
    parser.add_argument("--no-inputs", action="store_true", help="leave the day's raw data out where `inputs` lays it")


def answer(options: argparse.Namespace) -> Answer:
    """What was restored, and how to use its environment.

    Raises:
        RetrainError: as `archive.restore.restore`.
    """
    chosen = ChosenPipeline(options.pipeline)
    record = chosen.record(options)
    to = Path(options.dest).absolute()
    environments = workspace.home() / "environments"
    raw = None if options.no_inputs else RawObjects(chosen.services.s3, pipeline_caches.raw_cache(record.pipeline))
    with pipeline_caches.in_use(record.pipeline):
        restored = restore.restore(
            record,
            chosen.ledger,
            chosen.remote,
            chosen.deployment.repository,
            chosen.services.credentials,
            to,
            mirrors=workspace.mirrors(),
            environments=None if options.no_environment else environments,
            tools=environments,
            raw=raw,
            progress=bar("files"),
        )
    document = {
        **asdict(restored),
        "path": str(to),
        "environment": str(restored.environment),
        "run_key": record.run_key,
    }
    lines = [
        f"{record.partition} of {record.release} ({record.commit[:12]}) is in {to}: {restored.files} files, {restored.bytes:,} bytes, each verified.",
        f"Its environment: source {to}/.venv/bin/activate"
        if restored.environment
        else "Without its environment, as asked.",
    ]
    if restored.inputs:
        lines.append(
            f"The day's raw data is laid where the stages read it: {restored.inputs} {'file' if restored.inputs == 1 else 'files'}."
        )
    elif options.no_inputs and chosen.ledger.manifest(record.spec).settings.inputs:
        lines.append("Without the day's raw data, as asked: `dvc status` reports its paths as changed.")
    elif options.no_inputs:
        lines.append("The run had no inputs laid in its checkout, so nothing was left out for NO_INPUTS.")
    if restored.unstored:
        lines.append(
            f"Not restored, because DVC stores no output with cache: false or push: false: {', '.join(restored.unstored)}."
        )
    return Answer(document, lines)
