"""`history`: lists the recorded runs of a pipeline."""

from __future__ import annotations

import argparse
from typing import Any

from retrain.archive import history
from retrain.archive.history import RecordedRun
from retrain.commands.chosen_pipeline import ChosenPipeline
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.run import manifest, partition
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts, s3

_HEADING = (
    f"{'day':10}  {'release':9}  {'run key':12}  {'recorded (UTC)':19}  {'mode':8}  {'rows':>6}  {'MAE':>6}  status"
)
_STALE_SHOWN = 3


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
    rows: list[dict[str, Any]] = []
    lines = [_HEADING]
    known = history.runs(
        chosen.ledger.records(options.pipeline),
        chosen.ledger.counts(options.pipeline),
        ledger_facts.pruned(chosen.ledger, options.pipeline),
    )
    for run in known:
        stale = _stale_days(chosen, run.record) if options.stale and run.status == "live" else []
        if options.stale and not stale:
            continue
        rows.append(
            {
                **run.record.to_dict(),
                "status": run.status,
                "superseded_by": run.superseded_by,
                "pruned": run.pruned,
                "stale": stale,
            }
        )
        lines.append(_line(run, stale))
    return Answer(rows, lines)


def _stale_days(chosen: ChosenPipeline, record: RunRecord) -> list[str]:
    raw = chosen.deployment.raw
    days = partition.window(record.partition, raw.window_days)
    listing = s3.list_versions(chosen.services.s3, raw.url, f"dt={days[0]}", f"dt={days[-1]}")
    now = manifest.of_listing(record.pipeline, record.partition, raw.url, days, listing, raw.marker)
    return history.stale_days(chosen.ledger.manifest(record.spec), {item.key: item for item in now.objects})


def _line(run: RecordedRun, stale: list[str]) -> str:
    record, status = run.record, run.status
    if run.superseded_by:
        status = f"superseded by {run.superseded_by[:12]}"
    if run.pruned:
        status = f"{status}, objects removed by prune"
    if stale:
        more = " …" if len(stale) > _STALE_SHOWN else ""
        status = f"stale: {', '.join(stale[:_STALE_SHOWN])}{more} changed; a backfill reruns it"
    mae, rows = record.metrics.get("model.mae"), record.metrics.get("rows")
    return (
        f"{record.partition}  {record.release:9}  {record.run_key[:12]}  {record.recorded_at[:19]}  {record.mode:8}  "
        f"{'-' if rows is None else int(rows):>6}  {'-' if mae is None else format(mae, '.3f'):>6}  {status}"
    )
