"""`verify`: checks recorded runs against the bucket."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from retrain.archive import recorded_documents, verify
from retrain.commands.chosen_pipeline import ChosenPipeline, add_day
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.commands.progress import bar
from retrain.store import ledger_facts
from retrain.store.receipt import name


def add(commands: Subparsers) -> None:
    """Add `verify` with the day, or --all."""
    text = "Check recorded runs against the bucket: every object there, and with its content."
    parser = add_command(commands, "verify", answer, text)
    add_day(parser, optional=True)
    parser.add_argument("--all", action="store_true", help="every recorded run")


def answer(options: argparse.Namespace) -> Answer:
    """The result of the check; well if every object is there with its content.

    Raises:
        RetrainError: as `archive.verify.verify`.
    """
    chosen = ChosenPipeline(options.pipeline)
    pruned = ledger_facts.pruned(chosen.ledger, options.pipeline)
    with chosen.index() as index:
        if options.all:
            documents = recorded_documents.of_all_days(chosen.ledger, options.pipeline, index)
            records = documents.records(bar("records"))
        else:
            documents = recorded_documents.of_some_runs(chosen.ledger, options.pipeline, index)
            records = [chosen.record(options)]
        found = verify.verify(records, documents, chosen.remote, pruned, bar("runs"))
    lines = [f"{found.runs} runs, {found.proven} objects proven with {found.requests} requests."]
    lines += [f"{found.pruned} runs were left out: prune removed their objects."] if found.pruned else []
    lines += [f"missing: {name(item)}" for item in found.missing] + [f"wrong: {name(item)}" for item in found.wrong]
    lines += [f"without any proof: {run_key}; run its day again" for run_key in found.unproven]
    return Answer({**asdict(found), "sound": found.sound}, lines, found.sound)
