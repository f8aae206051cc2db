"""`doctor`: checks what the deployment depends on, and says how to fix what is wrong."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from retrain.alerts.redaction import known_secrets
from retrain.commands.chosen_pipeline import pipelines_folder
from retrain.commands.command import Answer, Subparsers, add_command
from retrain.doctor import rounds, secret_shapes
from retrain.doctor.checks import CHECKS
from retrain.doctor.finding import Found, without_secrets
from retrain.doctor.surroundings import SECRETS, look_around

_PASSWORD = "watch_password"  # noqa: S105 - the name of its file


def add(commands: Subparsers) -> None:
    """Add `doctor` with the checks to make."""
    text = "Check secrets, connections, buckets, raw data, roles, queues, the origin, Airflow and Slack, and say what to fix. Changes nothing."
    parser = add_command(commands, "doctor", answer, text)
    parser.add_argument("--only", action="append", choices=list(CHECKS), help="make this check only (may be repeated)")


def answer(options: argparse.Namespace) -> Answer:
    """What was found; well if nothing is wrong. A warning, or a thing that cannot be checked here, is not wrong."""
    if (SECRETS / _PASSWORD).exists():  # Airflow's user for programs, in the containers that have its password
        os.environ.setdefault("AIRFLOW_API_USER", "watch")
        os.environ.setdefault("AIRFLOW_API_PASSWORD_FILE", str(SECRETS / _PASSWORD))
    here = look_around(os.environ, pipelines_folder(), options.airflow)
    chosen = {name: check for name, check in CHECKS.items() if not options.only or name in options.only}
    found = list(rounds.examine(chosen, here))
    findings = without_secrets(found, {*known_secrets(os.environ), *_values(here.secrets)})
    counts = Counter(each.found for each in findings)
    last = ", ".join(f"{counts[each]} {each}" for each in Found if counts[each])
    lines = [*(line for each in findings for line in each.lines), f"{last or 'nothing was checked'}."]
    document = {"well": not counts[Found.WRONG], "findings": [asdict(each) for each in findings]}
    return Answer(document, lines, not counts[Found.WRONG])


def _values(folder: Path) -> set[str]:
    """The secrets in the files of a folder, as far as this process may read them: none of them may be printed."""
    found: set[str] = set()
    for path in folder.glob("*"):
        try:
            found |= secret_shapes.values(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue  # what cannot be read cannot be printed; the check of the secrets reports it
    return found
