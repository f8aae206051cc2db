"""`try`: runs one real day without scheduler, ledger, registry or messages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from retrain.commands.chosen_pipeline import ChosenPipeline
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.deployment.pipeline_file import Deployment
from retrain.inputs.prepared import lines as prepared_lines
from retrain.trial.tried_day import TriedDay, try_day
from retrain.work.dvc.second_run import SecondRun


def add(commands: Subparsers) -> None:
    """Add `try` with the day, --ref and --keep."""
    text = "Run one real day in a workspace of its own, and say what a second run would skip. Nothing is recorded or pushed."
    parser = add_command(commands, "try", answer, text)
    parser.add_argument("partition", help="YYYY-MM-DD")
    parser.add_argument(
        "--ref", help="a tag, branch or commit of the origin, or a label (default: the newest release tag)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the workspace where it is")


def answer(options: argparse.Namespace) -> Answer:
    """Stages, metrics, and what a second run would skip.

    Raises:
        RetrainError: as `trial.tried_day.try_day`.
    """
    chosen = ChosenPipeline(options.pipeline)
    deployment, credentials = chosen.deployment, chosen.services.credentials
    tried = try_day(deployment, credentials, options.partition, options.ref or None, keep=options.keep, say=_say)
    return Answer(_document(tried), _lines(tried, deployment))


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _document(tried: TriedDay) -> dict[str, Any]:
    return {
        "partition": tried.manifest.partition,
        "reference": tried.chosen.name,
        "commit": tried.chosen.commit,
        "raw_objects": len(tried.manifest.objects),
        "inputs": [asdict(each) for each in tried.day.prepared.inputs],
        "params": [asdict(each) for each in tried.day.prepared.params],
        "stages": [asdict(each) for each in tried.day.done.stages],
        "seconds": tried.day.done.seconds,
        "metrics": tried.day.description.metric_values(),
        "models": list(tried.day.description.models),
        "objects": tried.objects,
        "bytes": tried.bytes,
        "fetching": sorted(tried.fetching),
        "second_run": [{**asdict(each), "skipped": each.skipped} for each in tried.second_run],
    }


def _lines(tried: TriedDay, deployment: Deployment) -> list[str]:
    day, described = tried.day, tried.day.description
    lines = [f"{tried.manifest.partition} of {deployment.pipeline}, {tried.chosen.name} ({tried.chosen.commit[:12]})"]
    lines += [f"  {line}" for line in prepared_lines(day.prepared)]
    lines += ["", f"{'stage':24} {'outcome':8} {'seconds':>8} {'memory':>9}"]
    for stage in day.done.stages:
        memory = f"{stage.peak_memory / 2**20:.0f} MB" if stage.peak_memory else "-"
        lines.append(f"{stage.name:24} {stage.outcome:8} {stage.seconds:8.1f} {memory:>9}")
    lines += ["", *(f"{name:40} {value:g}" for name, value in described.metric_values().items())]
    if not described.metrics:
        lines.append("No metrics: dvc.yaml declares no metrics file.")
    lines += [f"model {path}" for path in described.models]
    lines += ["", "A second run of the day:"]
    lines += [f"  {_second(each, tried.fetching)}" for each in tried.second_run]
    unstored = [output.path for output in described.outputs if not output.stored]
    if unstored:
        lines.append(f"DVC does not store {', '.join(unstored)}: a restored day will lack it.")
    lines += [
        "",
        f"The day would be green: {tried.objects} objects, {tried.bytes:,} bytes to push. Nothing was recorded or pushed.",
    ]
    return lines


def _second(stage: SecondRun, fetching: Collection[str]) -> str:
    if stage.name in fetching:
        return f"{stage.name:22} keeps what it fetched: it runs once for each run key"
    if stage.reason is not None:
        return f"{stage.name:22} runs again: {stage.reason}"
    if stage.after:
        return f"{stage.name:22} is skipped if the outputs of {', '.join(stage.after)} are the same again"
    return f"{stage.name:22} is skipped"
