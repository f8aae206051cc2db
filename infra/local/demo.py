"""`make demo`: real days of New York's taxis through the real stack, while the city shuts down in March 2020.

Lands a year of history, releases this checkout, runs the first days as an Airflow backfill and the others one by one as daily
runs whose data lands while they wait, then shows what came out. A day that this release has run already is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from threading import Event
from typing import Any, TypeVar

import requests
import trips
import yaml
from airflow_client import AirflowClient, AirflowError
from program_variables import inherited_environment
from rich.console import Console
from rich.table import Table
from stack import ROOT, StackError, up
from stack_loading import load_stack
from stack_model import SettingsError, Stack
from state_files import read_stack_file
from supervision import SupervisionError

# What a run's day is, and what its tasks return, is what Airflow's side says.
sys.path.insert(0, str(ROOT / "plugins"))

from retrain.deployment.sections import Schedule
from retrain.errors import TaskResultError
from retrain.judge.verdict import State
from retrain.results import Checked, Promoted, Recorded, Reproduced, Resolved, TaskResult
from retrain.run import partition as partitions

R = TypeVar("R", bound=TaskResult)

PIPELINE = "trip_duration"
HISTORY_DAYS = 365
FIRST, LAST = date(2020, 3, 9), date(2020, 3, 18)
LAST_BACKFILLED = date(2020, 3, 12)
# The day on which the city's shutdown must be noticed, and none before.
ALERT_ON = "2020-03-17"
TOLD_WITHIN = 90.0  # seconds
_AT_ONCE = 2
_DAG_SECONDS = 90
_RUN_SECONDS = 600
_COMMAND_SECONDS = 600  # the first release installs the deployment's own DVC
_POLL_SECONDS = 1.0
_STAGES = (
    "wait_for_partition",
    "resolve_run",
    "reproduce",
    "push",
    "record_run",
    "check_drift",
    "promote",
    "remove_workspace",
)


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Day:
    """One row of the demo's table. Errors in minutes, duration in seconds from the run's start to its end."""

    partition: str
    run_id: str
    run_type: str
    state: str
    release: str | None
    commit: str | None
    rows: int | None
    mae: float | None
    baseline_mae: float | None
    drifted: dict[str, float]
    alert: bool
    model_version: str | None
    promoted: bool | None
    promotion: str | None
    from_cache: int | None
    mlflow_run: str | None
    seconds: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when every day is green and the alert came when it should, else 1."""
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
        SettingsError,
        StackError,
        SupervisionError,
        requests.RequestException,
    ) as error:
        console.print(f"[red]The demo stopped:[/] {error}", highlight=False)
        return 1
    return 1 if problems else 0


def play(stack: Stack, airflow: AirflowClient, console: Console, began: float) -> list[str]:
    """Play the days; returns what is wrong with the outcome, in sentences."""

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {text}", highlight=False)

    say("fetching and cutting the trips (a sample of the city's own records, 2018 to 2020)")
    trips.fetch(stack.state)
    trips.cut(state=stack.state)
    landed = trips.land(FIRST - timedelta(days=HISTORY_DAYS), LAST_BACKFILLED, state=stack.state)
    say(f"landed {len(landed.uploaded)} days in S3, {len(landed.unchanged)} were there")
    release = release_checkout(stack)
    say(f"release {release} is live")

    await_true(
        lambda: airflow.dag(PIPELINE) is not None,
        _DAG_SECONDS,
        f"Airflow did not read the DAG {PIPELINE}. See {stack.log_dir}.",
    )
    airflow.unpause(PIPELINE)

    schedule = schedule_of(stack)
    done = {day.partition for day in collect(airflow, schedule) if day.state == "success" and day.release == release}
    backfilled = [day for day in trips.days(FIRST, LAST_BACKFILLED) if day not in done]
    if backfilled:
        say(f"backfill {backfilled[0]} to {backfilled[-1]}, {_AT_ONCE} days at once")
        known = any(day.partition in backfilled for day in collect(airflow, schedule))
        airflow.backfill(
            PIPELINE, backfilled[0], backfilled[-1], at_once=_AT_ONCE, reprocess="completed" if known else "none"
        )
        follow(airflow, schedule, backfilled, release, say)
    for day in trips.days(LAST_BACKFILLED + timedelta(days=1), LAST):
        if day in done:
            continue
        run_id = airflow.trigger(PIPELINE, f"demo__{day}__{release}__{int(time.time())}", {"partition": day})
        await_waiting(airflow, run_id)
        say(f"{day}: the daily run waits for its data; landing it")
        trips.land(date.fromisoformat(day), date.fromisoformat(day), state=stack.state)
        follow(airflow, schedule, [day], release, say)
    return report(stack, airflow, release, console, time.monotonic() - began)


def schedule_of(stack: Stack) -> Schedule:
    """The schedule in the pipeline's file. It is not checked again: Airflow has read it, and croniter is not installed here."""
    folder = stack.pipelines or ROOT / "dags" / "pipelines"
    document = yaml.safe_load((folder / f"{PIPELINE}.yaml").read_text(encoding="utf-8"))
    return Schedule.model_construct(**document["schedule"])


def release_checkout(stack: Stack) -> str:
    """Tag the checkout's HEAD at the local origin, under the next free version, and make it live; returns the tag."""
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
        print("The checkout has changes that are in no commit: they are not in the release.", file=sys.stderr)
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
    """Wait for a condition; DemoError with the sentence `otherwise` when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(otherwise)
        time.sleep(_POLL_SECONDS)


def await_waiting(airflow: AirflowClient, run_id: str) -> None:
    """Wait until a run waits for its data, or has found it there."""

    def waiting() -> bool:
        return airflow.tasks(PIPELINE, run_id)["wait_for_partition"]["state"] in ("deferred", "success")

    await_true(waiting, _DAG_SECONDS, f"{run_id} did not start to wait for its data. See {airflow.url}")


def follow(
    airflow: AirflowClient, schedule: Schedule, days: Iterable[str], release: str, say: Callable[[str], None]
) -> None:
    """Tell the progress of the newest run of each day until all have ended, well or not."""
    wanted, told = set(days), dict.fromkeys(days, "")

    def ended() -> bool:
        newest: dict[str, dict[str, Any]] = {}
        for run in airflow.runs(PIPELINE):
            newest.setdefault(partitions.of_api(run, schedule, now=datetime.now(UTC)) or "", run)
        for partition in sorted(wanted & newest.keys()):
            run = newest[partition]
            tasks = airflow.tasks(PIPELINE, run["dag_run_id"])
            stage = next(
                (s for s in _STAGES if tasks[s]["state"] in ("running", "deferred", "up_for_retry", "failed")), ""
            )
            state = (
                run["state"]
                if run["state"] in ("success", "failed")
                else f"{stage} {tasks[stage]['state'] if stage else ''}".strip()
            )
            if state and state != told[partition]:
                say(f"{partition}  {state}")
                told[partition] = state
        return wanted <= newest.keys() and all(newest[p]["state"] in ("success", "failed") for p in wanted)

    await_true(
        ended, _RUN_SECONDS, f"{sorted(wanted)} did not end in {_RUN_SECONDS} s with {release}. See {airflow.url}"
    )


def collect(airflow: AirflowClient, schedule: Schedule) -> list[Day]:
    """The newest run of each day of the demo, oldest day first."""
    if airflow.dag(PIPELINE) is None:
        return []
    days: dict[str, Day] = {}
    for run in airflow.runs(PIPELINE):
        partition = partitions.of_api(run, schedule, now=datetime.now(UTC)) or ""
        if FIRST.isoformat() <= partition <= LAST.isoformat() and partition not in days:
            days[partition] = _day(airflow, run, partition)
    return [days[partition] for partition in sorted(days)]


def _day(airflow: AirflowClient, run: dict[str, Any], partition: str) -> Day:
    run_id = run["dag_run_id"]
    resolved = _left(airflow, run_id, Resolved)
    reproduced = _left(airflow, run_id, Reproduced)
    recorded = _left(airflow, run_id, Recorded)
    checked = _left(airflow, run_id, Checked)
    promoted = _left(airflow, run_id, Promoted)
    metrics = recorded.metrics if recorded else {}
    drift = checked.drift if checked else None
    return Day(
        partition=partition,
        run_id=run_id,
        run_type=run["run_type"],
        state=run["state"],
        release=resolved.release if resolved else None,
        commit=resolved.commit if resolved else None,
        rows=int(metrics["rows"]) if "rows" in metrics else None,
        mae=metrics.get("model.mae"),
        baseline_mae=metrics.get("pair_median.mae"),
        drifted={feature.name: feature.value for feature in drift.features} if drift else {},
        alert=drift is not None and drift.state is State.ALERT,
        model_version=recorded.model_version if recorded else None,
        promoted=promoted.promoted if promoted else None,
        promotion=promoted.reason if promoted else None,
        from_cache=len(reproduced.cached) if reproduced else None,
        mlflow_run=recorded.url if recorded else None,
        seconds=run["duration"],
    )


def _left(airflow: AirflowClient, run_id: str, kind: type[R]) -> R | None:
    """What a task of a run has returned; None when it has not, or when another version of the deployment ran it."""
    value = airflow.left_behind(PIPELINE, run_id, kind.task)
    try:
        return None if value is None else kind.from_json(value)
    except TaskResultError:
        return None


def report(stack: Stack, airflow: AirflowClient, release: str, console: Console, seconds: float) -> list[str]:
    """Print the table, the messages and the addresses, write demo.json; returns what is wrong."""
    days = collect(airflow, schedule_of(stack))
    messages = wait_for_messages(stack, days)
    problems = judge(days, texts(messages))
    lines = sum(len(message["replies"]) for message in messages)

    table = Table(title=f"{FIRST} to {LAST}: the city shuts down", title_justify="left")
    for name, justify in (
        ("day", "left"), ("release", "left"), ("run", "left"), ("state", "left"), ("trips", "right"), ("MAE min", "right"),
        ("pair median", "right"), ("drifted (PSI)", "left"), ("model", "right"), ("promoted", "left"), ("seconds", "right"),
    ):  # fmt: skip
        table.add_column(name, justify=justify)
    for day in days:
        drifted = ", ".join(f"{name} {value:.2f}" for name, value in day.drifted.items()) or "-"
        table.add_row(
            day.partition, day.release or "-", day.run_type, day.state, _number(day.rows, 0), _number(day.mae, 2), _number(day.baseline_mae, 2),
            f"[red]{drifted}[/]" if day.alert else drifted, day.model_version or "-", {None: "-", True: "champion", False: "no"}[day.promoted], _number(day.seconds, 0),
        )  # fmt: skip
    console.print(table)
    console.print(f"\nSlack shows {len(messages)} messages, with {lines} lines in their threads:")
    for message in messages:
        console.print(f"  {message['text']}", highlight=False, markup=False)
    console.print(
        f"\n  Airflow  {stack.airflow_url}/dags/{PIPELINE}\n  MLflow   {stack.mlflow_url}/#/experiments?workflowType=machine_learning\n  Slack    {stack.slack_url}\n  Alerts   {stack.alerts_url}",
        highlight=False,
    )
    console.print(
        "\nThe stack is up; `make down` stops it (in containers `make compose-down`). The newest scheduled run waits for a partition that this data set, which ends in 2020, does not have."
    )
    document = {
        "release": release,
        "seconds": round(seconds, 1),
        "days": [asdict(day) for day in days],
        "slack": messages,
        "problems": problems,
        "addresses": {
            "airflow": stack.airflow_url,
            "mlflow": stack.mlflow_url,
            "slack": stack.slack_url,
            "alerts": stack.alerts_url,
        },
    }
    path = stack.state / "demo.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for problem in problems:
        console.print(f"[red]{problem}[/]", highlight=False)
    if not problems:
        console.print(
            f"[green]All {len(days)} days are green[/] after {seconds:.0f} s. The same as JSON: {os.path.relpath(path)}",
            highlight=False,
        )
    return problems


def wait_for_messages(stack: Stack, days: Sequence[Day]) -> list[dict[str, Any]]:
    """Everything that Slack holds, once the last alert is there: the watch tells it some seconds after the run has left it."""
    pause, deadline = Event(), time.monotonic() + TOLD_WITHIN
    while True:
        page = requests.get(f"{stack.slack_url}/messages.json", timeout=30).json()
        messages = [message for channel in page["channels"] for message in channel["messages"]]
        if not untold(days, texts(messages)) or time.monotonic() > deadline:
            return messages
        pause.wait(1)


def texts(messages: Sequence[dict[str, Any]]) -> list[str]:
    """What the messages and the lines of their threads say."""
    return [shown["text"] for message in messages for shown in (message, *message["replies"])]


def untold(days: Sequence[Day], messages: Sequence[str]) -> list[str]:
    """The days of an alert of which Slack has no message; those of a backfill have none."""
    alerted = [day.partition for day in days if day.alert and day.run_type != "backfill"]
    return [partition for partition in alerted if not any(partition in text for text in messages)]


def judge(days: Sequence[Day], messages: Sequence[str]) -> list[str]:
    """What is wrong with the outcome: a day that is not there or not green, an alert that is early, late or not told."""
    wanted = trips.days(FIRST, LAST)
    found = {day.partition: day for day in days}
    problems = [f"{day} did not run." for day in wanted if day not in found]
    problems += [f"{day.partition} ended as {day.state}: run {day.run_id}." for day in days if day.state != "success"]
    problems += [
        f"{day.partition} was backfilled and promoted: {day.promotion}"
        for day in days
        if day.run_type == "backfill" and day.promoted
    ]
    first = next((day.partition for day in days if day.alert), "no day")
    if first != ALERT_ON:
        problems.append(f"The first drift alert is of {first}, and should be of {ALERT_ON}, when the city shut down.")
    problems += [f"{partition} alerted, but Slack has no message of it." for partition in untold(days, messages)]
    return problems


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
