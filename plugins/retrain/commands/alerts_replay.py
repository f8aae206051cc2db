"""Apply the alert thresholds of a pipeline's file to past days, so that a change can be judged before it ships.

Says which days would open a message and which would be in alert: on the days that the file's section `replay` calls ordinary, in the
incidents that it lists, and on all others. `python -m retrain.commands.alerts_replay --help`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrain.commands.chosen_pipeline import pipelines_folder
from retrain.deployment.pipeline_file import load, load_policies
from retrain.deployment.policies import Policies
from retrain.errors import ReportError, RetrainError
from retrain.judge import day, judged_days, policy_replay
from retrain.judge.day import Day
from retrain.judge.policy_replay import MovedThreshold, ReplayedPolicies
from retrain.store.ledger import Ledger


def read_documents(file: Path, policies: Policies) -> list[Day]:
    """The days of a file with one JSON object per line, by partition: `drift`, the drift report, and `metrics`.

    Raises:
        ReportError: it cannot be read, or a line has other content.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines]
        found = {
            str(d["drift"]["partition"]): day.read(str(d["drift"]["partition"]), policies, d["drift"], d["metrics"])
            for d in documents
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{file} holds no days ({error!r}). Write it with tests/bench/day_documents.py.") from error
    return [found[partition] for partition in sorted(found)]


def read_ledger(pipeline_file: Path) -> list[Day]:
    """The days that production has judged, by partition. Needs the addresses and the connection of Airflow's components.

    Raises:
        StoreError: S3 refuses or does not answer.
    """
    from retrain.airflow.connections import Aws

    deployment = load(pipeline_file)
    return judged_days.kept_days(Ledger(Aws(deployment.aws_conn_id).client(), deployment.ledger), deployment.pipeline)


def text(found: ReplayedPolicies, policies: Policies, moved: Sequence[MovedThreshold] = ()) -> str:
    """The result as lines for a terminal."""
    count = found.ordinary
    share = policies.replay.ordinary if policies.replay else None
    lines = [f"{found.first} to {found.last}"]
    if share and count.days:
        lines += [
            f"Ordinary days, {share.first} to {share.last}: {count.days} judged",
            f"  open a message  {count.opening:3}  {count.opening / count.days:.2%}  (at most {share.max_share:.2%})",
            f"  are in alert    {count.in_alert:3}  {count.in_alert / count.days:.2%}",
        ]
    lines.append("Incidents")
    for incident in found.incidents:
        named = f"  [{incident.known}]" if incident.known else ""
        lines.append(
            f"  {incident.opened} to {incident.last} {incident.days:4} days  {incident.kind:19} {incident.severity:6}{named}"
        )
        lines += [f"      {reason}" for reason in incident.reasons]
    if moved:
        lines += ["", f"{'One threshold moved':34} {'to':>8} {'open':>5} {'alert':>6}  holds  known incidents opened"]
        lines += [
            f"{m.threshold:34} {m.value:8.4g} {m.ordinary.opening:5} {m.ordinary.in_alert:6}  "
            f"{'yes' if m.holds else 'NO':5}  {', '.join(m.opened) or '-'}"
            for m in moved
        ]
    lines += [f"Missed: {sentence}." for sentence in found.missed]
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    top = argparse.ArgumentParser(prog="python -m retrain.commands.alerts_replay", description=__doc__)
    top.add_argument("--pipeline", default="trip_duration", help="the pipeline (default: %(default)s)")
    top.add_argument("--pipelines", type=Path, default=pipelines_folder(), help="the folder of their files")
    source = top.add_mutually_exclusive_group(required=True)
    source.add_argument("--documents", type=Path, help="a file with a line of JSON a day: drift report and metrics")
    source.add_argument("--ledger", action="store_true", help="the days that production has judged")
    top.add_argument("--sensitivity", action="store_true", help="also move each threshold by a fifth, one at a time")
    top.add_argument("--check", action="store_true", help="exit with 1 if an expectation of the file is missed")
    top.add_argument("--json", action="store_true", help="answer with JSON")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0; 1 with --check if an expectation is missed, and after an error, of which stderr has one sentence."""
    options = parser().parse_args(arguments)
    file = options.pipelines / f"{options.pipeline}.yaml"
    try:
        policies = load_policies(file)
        days = read_ledger(file) if options.ledger else read_documents(options.documents, policies)
        found = policy_replay.replayed(days, policies)
        moved = policy_replay.sensitivity(days, policies) if options.sensitivity else []
    except RetrainError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    document: dict[str, Any] = {**asdict(found), "sensitivity": [asdict(m) for m in moved]}
    answer = json.dumps(document, indent=1, sort_keys=True) if options.json else text(found, policies, moved)
    sys.stdout.write(f"{answer}\n")
    return 1 if options.check and found.missed else 0


if __name__ == "__main__":
    sys.exit(main())
