"""`rebuild`: records in MLflow again what it has lost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

from retrain.archive import recorded_documents
from retrain.commands.chosen_pipeline import ChosenPipeline
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.commands.progress import bar
from retrain.run import partition
from retrain.store import ledger_facts
from retrain.tracking import rebuild
from retrain.tracking.rebuild import ChampionAlias, MirroredLedger, NotRebuilt, Rebuilt
from retrain.work import workspace


def add(commands: Subparsers) -> None:
    """Add `rebuild` with --partition, --since and --plan."""
    text = (
        "Record in MLflow again what it has lost: runs, metrics, artifacts, model versions, the champion. "
        "Only adds; says its plan first."
    )
    parser = add_command(commands, "rebuild", answer, text)
    parser.add_argument("--partition", help="only this day, YYYY-MM-DD")
    parser.add_argument("--since", help="only from this day on, YYYY-MM-DD")
    parser.add_argument("--plan", action="store_true", help="say what is lost, and do nothing")


def answer(options: argparse.Namespace) -> Answer:
    """The runs that were rebuilt, or with --plan those that are lost; well if MLflow is complete afterwards.

    Raises:
        TrackingError: MLflow does not answer.
    """
    chosen = ChosenPipeline(options.pipeline)
    tracking, model = chosen.services.tracking, chosen.deployment.tracking.model
    mirrored = MirroredLedger(chosen.deployment, chosen.ledger, chosen.remote, tracking)
    since = partition.parse(options.since).isoformat() if options.since else ""
    only = partition.parse(options.partition).isoformat() if options.partition else None
    if only:
        records = chosen.ledger.records(options.pipeline, only)
    else:
        with chosen.index() as index:
            documents = recorded_documents.of_all_days(chosen.ledger, options.pipeline, index)
            records = [record for record in documents.records(bar("records")) if record.partition >= since]
    gone = ledger_facts.pruned(chosen.ledger, options.pipeline)
    whole = [record for record in records if record.run_key not in gone]
    pruned = len(records) - len(whole)
    lost = rebuild.plan(whole, mirrored, bar("runs in MLflow"))
    planned = f"{len(records)} runs are in the ledger, {len(lost)} of them are incomplete in MLflow at {tracking.uri}."
    if pruned:
        planned = f"{planned} {pruned} are left out: prune removed their objects."
    counts = {"recorded": len(records), "pruned": pruned}
    if options.plan:
        lines = [planned, *(f"{each.record.partition}  {each.record.run_key[:12]}" for each in lost)]
        return Answer({**counts, "lost": [each.record.run_key for each in lost]}, lines)
    sys.stderr.write(f"{planned}\n")
    scratch = workspace.home()
    scratch.mkdir(parents=True, exist_ok=True)
    outcomes = list(rebuild.rebuild(lost, mirrored, chosen.describe, scratch=scratch, progress=bar("runs")))
    rebuilt = [each for each in outcomes if isinstance(each, Rebuilt)]
    failed = [each for each in outcomes if isinstance(each, NotRebuilt)]
    alias = rebuild.champion(tracking, model, chosen.ledger, options.pipeline) if model else None
    document = {
        **counts,
        "told": [asdict(each) for each in rebuilt],
        "failed": [asdict(each) for each in failed],
        "champion": asdict(alias) if alias else None,
    }
    lines = _lines(len(whole) - len(lost), rebuilt, failed, alias)
    return Answer(document, lines, not failed and (alias is None or alias.well))


def _lines(
    complete: int, rebuilt: Sequence[Rebuilt], failed: Sequence[NotRebuilt], alias: ChampionAlias | None
) -> list[str]:
    lines = [f"{len(rebuilt)} runs rebuilt, {complete} were complete, {len(failed)} could not be rebuilt."]
    lines += [
        f"{each.partition}  version {each.version}, recorded as {each.recorded_version}"
        for each in rebuilt
        if each.version != each.recorded_version
    ]
    lines += [
        f"{each.partition}  without {', '.join(each.left_out)}: never stored" for each in rebuilt if each.left_out
    ]
    lines += [f"{each.partition}  {each.run_key[:12]}  {each.why}" for each in failed]
    return [*lines, alias.said] if alias else lines
