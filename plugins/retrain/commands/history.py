"""`history`: lists the recorded runs of a pipeline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from retrain.archive import history, recorded_documents
from retrain.archive.history import RecordedRun
from retrain.archive.recorded_documents import RecordedDocuments
from retrain.commands.chosen_pipeline import ChosenPipeline
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.commands.progress import bar
from retrain.run import partition
from retrain.run.landed import LandingRule
from retrain.store import ledger_facts, raw_landing

_STALE_SHOWN = 3
_RELEASE = 9  # characters of the column, at least


def add(commands: Subparsers) -> None:
    """Add `history` with --stale."""
    text = "List the recorded runs: day, release, status, metrics; with --stale, only those whose raw data has changed since."
    add_command(commands, "history", answer, text).add_argument(
        "--stale", action="store_true", help="only days whose raw data has changed since"
    )


def answer(options: argparse.Namespace) -> Answer:
    """One row per recorded run, or with --stale per live run whose raw data has changed since.

    Raises:
        StoreError: S3 refuses a request or does not answer.
    """
    chosen = ChosenPipeline(options.pipeline)
    with chosen.index() as index:
        documents = recorded_documents.of_all_days(chosen.ledger, options.pipeline, index)
        known = history.runs(
            documents.records(bar("records")),
            chosen.ledger.counts(options.pipeline),
            ledger_facts.pruned(chosen.ledger, options.pipeline),
        )
        stale = _stale_days(chosen, documents, known) if options.stale else {}
    shown = [run for run in known if not options.stale or run.record.run_key in stale]
    rows = [
        {
            **run.record.to_dict(),
            "status": run.status,
            "superseded_by": run.superseded_by,
            "pruned": run.pruned,
            "stale": stale.get(run.record.run_key, []),
        }
        for run in shown
    ]
    width = max([len(run.record.release) for run in shown], default=0)
    lines = [_line(run, stale.get(run.record.run_key, []), max(width, _RELEASE)) for run in shown]
    return Answer(rows, [_heading(max(width, _RELEASE)), *lines])


def _stale_days(
    chosen: ChosenPipeline, documents: RecordedDocuments, known: Sequence[RecordedRun]
) -> dict[str, list[str]]:
    """The days whose raw data has changed, by run key, of each live run with such days. Lists the raw objects once for all runs."""
    live, raw = [run.record for run in known if run.status == "live"], chosen.deployment.raw
    if not live or raw is None:
        return {}
    windows = [partition.window(record.partition, raw.window_days) for record in live]
    days, rule = sorted({day for window in windows for day in window}), LandingRule.of(raw)
    listing, now = raw_landing.listing_of(chosen.services.s3, raw.url, rule, days)
    present, found = history.PresentRaw(rule, listing, days, now), {}
    for record, window, held in zip(live, windows, documents.read_raw(live, bar("manifests")), strict=True):
        if stale := history.stale_days(held, present.of_days(window), rule.layout):
            found[record.run_key] = stale
    return found


def _heading(width: int) -> str:
    return f"{'day':10}  {'release':{width}}  {'run key':12}  {'recorded (UTC)':19}  {'mode':8}  {'rows':>6}  {'MAE':>6}  status"


def _line(run: RecordedRun, stale: list[str], width: int) -> str:
    record, status = run.record, run.status
    if run.superseded_by:
        status = f"superseded by {run.superseded_by[:12]}"
    if run.pruned:
        status = f"{status}, objects removed by prune"
    if stale:
        more = " …" if len(stale) > _STALE_SHOWN else ""
        status = f"stale: {', '.join(stale[:_STALE_SHOWN])}{more} changed; a backfill reruns it"
    mae, rows = record.metrics.get("model.mae", record.metrics.get("mae")), record.metrics.get("rows")
    return (
        f"{record.partition}  {record.release:{width}}  {record.run_key[:12]}  {record.recorded_at[:19]}  {record.mode:8}  "
        f"{'-' if rows is None else int(rows):>6}  {'-' if mae is None else format(mae, '.3f'):>6}  {status}"
    )
