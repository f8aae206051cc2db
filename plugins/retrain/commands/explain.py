"""`explain`: says why two recorded days differ."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from retrain.archive import entry, explain, recorded_locks
from retrain.commands.chosen_pipeline import ChosenPipeline, add_day
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.work import git

_BY_VALUE = ("settings", "environment", "params", "data", "stages", "outputs", "metrics")


def add(commands: Subparsers) -> None:
    """Add `explain` with the two days and --most."""
    text = "Say why two days differ: code, environment, parameters, data."
    parser = add_command(commands, "explain", answer, text)
    add_day(parser)
    parser.add_argument("other", help="the day to compare with, YYYY-MM-DD")
    parser.add_argument("--most", type=int, default=12, help="names shown of each kind (default: %(default)s)")


def answer(options: argparse.Namespace) -> Answer:
    """The differences between the two runs, by kind.

    Raises:
        RecordError: a document of one of the runs cannot be read.
        UnknownEntryError: the ledger has no run of one of the days.
        OriginError: the Git origin cannot be read.
    """
    chosen = ChosenPipeline(options.pipeline)
    one, two = chosen.record(options), chosen.counting_record(options.other)
    chosen.mirror(one)
    code = git.changed_files(chosen.mirror(two), one.commit, two.commit) if one.commit != two.commit else []
    found = explain.explain(
        (one, two),
        (chosen.ledger.manifest(one.spec), chosen.ledger.manifest(two.spec)),
        (entry.params(one, chosen.ledger), entry.params(two, chosen.ledger)),
        (chosen.packages(one), chosen.packages(two)),
        tuple(code),
        (recorded_locks.recorded(one, chosen.ledger), recorded_locks.recorded(two, chosen.ledger)),
    )
    lines = [
        f"{one.partition} {one.release} ({one.run_key[:12]}) against {two.partition} {two.release} ({two.run_key[:12]})"
    ]
    lines += _lines("code", code, options.most)
    for kind in _BY_VALUE:
        shown = [f"{change.name}: {change.before} -> {change.after}" for change in getattr(found, kind)]
        lines += _lines(kind, shown, options.most)
    return Answer(asdict(found), lines + chosen.pruned_notes(one, two))


def _lines(kind: str, differences: list[str], most: int) -> list[str]:
    lines = [f"{kind}: {len(differences)} differ" if differences else f"{kind}: the same"]
    lines += [f"  {line}" for line in differences[:most]]
    return [*lines, f"  and {len(differences) - most} more"] if len(differences) > most else lines
