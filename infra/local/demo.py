"""`make demo`: the real stack trains on New York's taxi trips of March 2020, while the city shuts down.

It lands a year of history, then releases this checkout. The first days run as an Airflow backfill, the others one by one as daily
runs whose data lands while they wait. The end is a report. A day that this release has already run is not run again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import requests
import trips
from airflow_client import AirflowClient, AirflowError
from demo_days import FIRST, LAST, PIPELINE, DemoRuns, schedule_of
from demo_report import report
from program_variables import inherited_environment
from rich.console import Console
from stack import ROOT, UP_ERRORS, up
from stack_loading import load_stack
from stack_model import Stack
from state_files import read_stack_file

from retrain.results import TASKS, WAIT_FOR_PARTITION

HISTORY_DAYS = 365
LAST_BACKFILLED = date(2020, 3, 12)
_AT_ONCE = 2
_DAG_SECONDS = 90
ENDED = ("success", "failed")
_STEP_SECONDS = 600  # of one task on a slow machine; a day has eight
_COMMAND_SECONDS = 600  # the first release installs the deployment's own DVC
_POLL_SECONDS = 1.0


class DemoError(Exception):
    """The demo cannot continue; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 if every day is green and the drift alert came on the expected day, else 1."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    began = time.monotonic()
    try:
        stack = load_stack(ROOT, os.environ)
        up(stack)
        variables = read_stack_file(stack.env_file)
        os.environ.update({name: value for name, value in variables.items() if name.startswith("AWS_")})
        problems = play(stack, AirflowClient(stack.airflow_url), console, began)
    except (
        DemoError,
        AirflowError,
        trips.TripsError,
        requests.RequestException,
        *UP_ERRORS,
    ) as error:
        console.print(f"[red]The demo stopped:[/] {error}", highlight=False)
        return 1
    return 1 if problems else 0


def play(stack: Stack, airflow: AirflowClient, console: Console, began: float) -> list[str]:
    """Play the days on a running stack. `began` is the start of the demo (`time.monotonic`).

    Returns the problems of the outcome, in sentences; none if it is as expected.

    Raises:
        DemoError: Airflow did not read the DAG, a run did not end in time, or a command failed.
        AirflowError: Airflow refused a request.
        TripsError: the trips were not fetched, cut or landed.
    """

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {text}", highlight=False)

    say("fetching and cutting the trips (a sample of the city's own records, 2018 to 2020)")
    trips.fetch(stack.state)
    trips.cut(state=stack.state)
    landed = trips.land(FIRST - timedelta(days=HISTORY_DAYS), LAST_BACKFILLED, state=stack.state)
    say(f"landed {len(landed.uploaded)} days in S3, {len(landed.unchanged)} were already there")
    release = release_checkout(stack)
    say(f"release {release} is live")

    await_true(
        lambda: airflow.dag(PIPELINE) is not None,
        _DAG_SECONDS,
        f"Airflow did not read the DAG {PIPELINE}. See {stack.log_dir}.",
    )
    airflow.unpause(PIPELINE)

    runs = DemoRuns(airflow, schedule_of(stack))
    done = {day.partition for day in runs.days() if day.state == "success" and day.release == release}
    backfilled = [day for day in trips.days(FIRST, LAST_BACKFILLED) if day not in done]
    if backfilled:
        say(f"backfill {backfilled[0]} to {backfilled[-1]}, {_AT_ONCE} days at once")
        known = any(day.partition in backfilled for day in runs.days())
        airflow.backfill(
            PIPELINE, backfilled[0], backfilled[-1], at_once=_AT_ONCE, reprocess="completed" if known else "none"
        )
        follow(runs, backfilled, release, say)
    for day in trips.days(LAST_BACKFILLED + timedelta(days=1), LAST):
        if day in done:
            continue
        run_id = airflow.trigger(PIPELINE, f"demo__{day}__{release}__{int(time.time())}", {"partition": day})
        await_waiting(airflow, run_id)
        say(f"{day}: the daily run waits for its data; landing it")
        trips.land(date.fromisoformat(day), date.fromisoformat(day), state=stack.state)
        follow(runs, [day], release, say)
    return report(stack, runs.days(), release, console, time.monotonic() - began)


def release_checkout(stack: Stack) -> str:
    """Tag the checkout's commit at the local origin with the next free version, then release the tag; returns it.

    Raises:
        DemoError: Git or the release failed.
    """
    git = ["git", f"--git-dir={stack.origin}"]
    environment = inherited_environment(os.environ)
    head = _output([*git, "rev-parse", "refs/heads/main"], environment)
    tags = [
        tag
        for tag in _output([*git, "tag", "--points-at", head], environment).split()
        if re.fullmatch(r"v\d+\.\d+\.\d+", tag)
    ]
    if tags:
        tag = tags[-1]
    else:
        taken = re.findall(r"^v1\.0\.(\d+)$", _output([*git, "tag"], environment), re.MULTILINE)
        tag = f"v1.0.{max(map(int, taken), default=-1) + 1}"
        _output([*git, "tag", tag, head], environment)
    if _output(["git", "status", "--porcelain"], environment):
        print("The checkout has uncommitted changes: they are not in the release.", file=sys.stderr)
    variables = environment | read_stack_file(stack.env_file) | {"PYTHONPATH": str(stack.root / "plugins")}
    _output([str(stack.root / ".venv" / "bin" / "python"), "-m", "retrain", "release", tag], variables)
    return tag


def _output(command: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
    )
    if done.returncode != 0:
        raise DemoError(f"{' '.join(command[:4])}… failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def await_true(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Wait until a condition is true.

    Raises:
        DemoError: it was not true in time; `otherwise` is the message.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(otherwise)
        time.sleep(_POLL_SECONDS)


def await_waiting(airflow: AirflowClient, run_id: str) -> None:
    """Wait until a run waits for its data, or has found it.

    Raises:
        DemoError: its sensor did not start in time.
    """

    def waiting() -> bool:
        return airflow.tasks(PIPELINE, run_id)[WAIT_FOR_PARTITION]["state"] in ("deferred", "success")

    await_true(waiting, _DAG_SECONDS, f"{run_id} did not start to wait for its data. See {airflow.url}")


def follow(runs: DemoRuns, days: Iterable[str], release: str, say: Callable[[str], None]) -> None:
    """Print the progress of each day's newest run until all have ended, in success or failure.

    Raises:
        DemoError: no run made progress for ten minutes.
    """
    wanted, told = set(days), dict.fromkeys(days, "")

    def progress() -> bool:
        """Print what is new. True if anything was, or if all have ended."""
        newest, new = runs.newest(), False
        for partition in sorted(wanted & newest.keys()):
            run = newest[partition]
            state = run["state"] if run["state"] in ENDED else _task_at_work(runs.airflow, run)
            if state and state != told[partition]:
                say(f"{partition}  {state}")
                told[partition], new = state, True
        return new or ended()

    def ended() -> bool:
        return all(state in ENDED for state in told.values())

    while not ended():
        await_true(
            progress,
            _STEP_SECONDS,
            f"{sorted(day for day in wanted if told[day] not in ENDED)} made no progress for {_STEP_SECONDS} s "
            f"with {release}. See {runs.airflow.url}",
        )


def _task_at_work(airflow: AirflowClient, run: dict[str, Any]) -> str:
    """The first unfinished task of a run with its state, such as `push running`; empty between two tasks."""
    tasks = airflow.tasks(PIPELINE, run["dag_run_id"])
    states = ((name, tasks[name]["state"]) for name in TASKS)
    return next(
        (f"{name} {state}" for name, state in states if state in ("running", "deferred", "up_for_retry", "failed")), ""
    )


if __name__ == "__main__":
    sys.exit(main())
