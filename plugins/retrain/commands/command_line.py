"""The command line of `python -m retrain`: which command it is, its answer on standard output, its exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from retrain.airflow import airflow_database
from retrain.alerts.redaction import redact
from retrain.commands import (
    check,
    doctor,
    explain,
    history,
    pin,
    prune,
    rebuild,
    release,
    replay,
    restore,
    rollback,
    try_day,
    verify,
)
from retrain.errors import RetrainError

_COMMANDS = (check, try_day, release, rollback, pin, history, restore, verify, replay, explain, rebuild, prune, doctor)


def parser() -> argparse.ArgumentParser:
    """The parser of every command. A parsed line has its function as `command`, from the arguments to an Answer."""
    top = argparse.ArgumentParser(
        prog="retrain",
        description="The release pin of a pipeline, and its recorded days: list, restore, verify, replay, explain, rebuild, prune. The deployment's doctor. The check of another team's repository.",
    )
    top.add_argument("--pipeline", default="trip_duration", help="the pipeline (default: %(default)s)")
    top.add_argument("--json", action="store_true", help="answer with JSON")
    top.add_argument(
        "--airflow", default=os.environ.get("RETRAIN_AIRFLOW_URL", "http://127.0.0.1:8080"), help="Airflow's address"
    )
    top.add_argument(
        "--repository", help="the Git origin that holds the tags (default: what the pipeline's file names)"
    )
    commands = top.add_subparsers(required=True)
    for each in _COMMANDS:
        each.add(commands)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code.

    0; 1 if the answer is not well, or if the command failed: then standard error ends with one sentence, and with --json standard
    output has `{"error": {"code": <class>, "message": <sentence>}}`. If a stage failed, its last lines are there too.
    """
    options = parser().parse_args(arguments)
    # Standard error is for one sentence: Airflow, which is imported later, would log there where its credentials come from.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    airflow_database.use_if_configured()
    if profile := os.environ.get("RETRAIN_COMMANDS_PROFILE"):  # the api-server's own role cannot read data
        os.environ["AWS_PROFILE"] = profile
    try:
        with _output_on_stderr():
            answer = options.command(options)
    except RetrainError as error:
        # The address of an origin, which an error names, may have a login in it.
        code, message, printed = type(error).__name__, redact(str(error)), [redact(line) for line in error.printed]
        if printed:
            sys.stderr.write("\n".join([f"The last lines of stage {error.stage}:", *printed, ""]) + "\n")
        sys.stderr.write(f"{code}: {message}\n")
        if options.json:
            stage = {"stage": error.stage, "printed": printed} if printed else {}
            _write_json({"error": {"code": code, "message": message, **stage}})
        return 1
    if options.json:
        _write_json(answer.document)
    else:
        sys.stdout.write("\n".join(answer.lines) + "\n")
    return 0 if answer.well else 1


def _write_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True) + "\n")


@contextmanager
def _output_on_stderr() -> Iterator[None]:
    """Send what libraries and child processes print to standard error, so that standard output has the answer alone."""
    sys.stdout.flush()
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(answer, 1)
        os.close(answer)
