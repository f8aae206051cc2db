"""`prune`: removes objects that no kept ledger entry needs."""

from __future__ import annotations

import argparse

from retrain.archive import prune
from retrain.commands.chosen_pipeline import ChosenPipeline
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.commands.progress import bar


def add(commands: Subparsers) -> None:
    """Add `prune` with --keep-days and --really."""
    text = "Remove objects that no kept ledger entry needs; without --really, only say which."
    parser = add_command(commands, "prune", answer, text)
    parser.add_argument("--keep-days", type=int, required=True, help="days, counted back from the newest recorded one")
    parser.add_argument("--really", action="store_true", help="do it")


def answer(options: argparse.Namespace) -> Answer:
    """What can be removed, or with --really what was removed.

    Raises:
        LedgerUnreadableError: it is not known which objects are needed.
    """
    chosen = ChosenPipeline(options.pipeline)
    # What is removed is decided by the ledger itself: a wrong row of an index must not cost an object.
    indexes = None if options.really else chosen.indexes
    plan = prune.plan(
        chosen.ledger,
        chosen.remote,
        options.pipeline,
        options.keep_days,
        indexes=indexes,
        progress=bar("pipelines"),
    )
    size = f"{len(plan.remove)} objects, {plan.bytes:,} bytes"
    lines = [f"{len(plan.kept)} runs are kept, {len(plan.losing)} older ones lose objects: {size}."]
    if options.really:
        removed = prune.carry_out(plan, chosen.ledger, chosen.remote, options.keep_days)
        lines.append(f"{removed} objects were removed.")
    else:
        lines.append("Nothing was removed. Add REALLY=1 to do it.")
    document = {
        "objects": len(plan.remove),
        "bytes": plan.bytes,
        "kept": len(plan.kept),
        "dropped": len(plan.losing),
        "removed": options.really,
    }
    return Answer(document, lines)
