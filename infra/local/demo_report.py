"""The report at the end of the demo: its days, Slack's messages, the problems found."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from threading import Event
from typing import Any

import requests
import trips
from demo_days import FIRST, LAST, PIPELINE, PlayedDay
from rich.console import Console
from rich.table import Table
from stack_model import Stack

# The first drift alert must be on the day of the city's shutdown, not earlier.
ALERT_ON = "2020-03-17"
_MESSAGE_SECONDS = 90.0


def report(stack: Stack, days: Sequence[PlayedDay], release: str, console: Console, seconds: float) -> list[str]:
    """Print the table, the messages and the addresses, then write demo.json; returns the problems, in sentences."""
    messages = wait_for_messages(stack, days)
    problems = judge(days, texts(messages))
    lines = sum(len(message["replies"]) for message in messages)
    console.print(_table(days))
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


def _table(days: Sequence[PlayedDay]) -> Table:
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
    return table


def wait_for_messages(stack: Stack, days: Sequence[PlayedDay]) -> list[dict[str, Any]]:
    """All messages in Slack. Waits for the last alert: the watch sends it some seconds after the run has ended."""
    pause, deadline = Event(), time.monotonic() + _MESSAGE_SECONDS
    with requests.Session() as slack:
        while True:
            page = slack.get(f"{stack.slack_url}/messages.json", timeout=30).json()
            messages = [message for channel in page["channels"] for message in channel["messages"]]
            if not without_message(days, texts(messages)) or time.monotonic() > deadline:
                return messages
            pause.wait(1)


def texts(messages: Sequence[dict[str, Any]]) -> list[str]:
    """The texts of the messages, with those of their threads."""
    return [shown["text"] for message in messages for shown in (message, *message["replies"])]


def without_message(days: Sequence[PlayedDay], messages: Sequence[str]) -> list[str]:
    """The partitions that alerted but are in no message. A backfilled day has no separate message."""
    alerted = [day.partition for day in days if day.alert and not day.is_backfill]
    return [partition for partition in alerted if not any(partition in text for text in messages)]


def judge(days: Sequence[PlayedDay], messages: Sequence[str]) -> list[str]:
    """The problems of the outcome: a day that is missing, not green or wrongly promoted; an alert that is early, late or not sent."""
    wanted = trips.days(FIRST, LAST)
    found = {day.partition: day for day in days}
    problems = [f"{day} did not run." for day in wanted if day not in found]
    problems += [f"{day.partition} ended as {day.state}: run {day.run_id}." for day in days if day.state != "success"]
    problems += [
        f"{day.partition} was backfilled and promoted: {day.promotion}"
        for day in days
        if day.is_backfill and day.promoted
    ]
    first = next((day.partition for day in days if day.alert), "no day")
    if first != ALERT_ON:
        problems.append(f"The first drift alert is of {first}; it should be of {ALERT_ON}, when the city shut down.")
    problems += [
        f"{partition} alerted, but Slack has no message about it." for partition in without_message(days, messages)
    ]
    return problems


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
