"""The stack's commands `status`, `up`, `run` and `down`, on the stack that the other end-to-end tests have used.

They run last: the stack is down afterwards.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import psutil
import requests
from processes import marked_processes
from running_stack import Live, wait_until
from stack_command import PORTS, StackCommand, free_ports
from supervision import Supervisor

PROGRAMS = (
    "s3",
    "slack",
    "mlflow",
    "alerts",
    "airflow-api-server",
    "airflow-execution-api",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "airflow-database-cleaner",
)


def of_the_living(ask: Callable[[], list[Any]]) -> list[Any]:
    """Ask a process for a list; Airflow's short-lived children may have ended since they were found."""
    try:
        return ask()
    except psutil.NoSuchProcess:
        return []


def process_ids(live: Live) -> dict[str, int]:
    """The process id of each program."""
    return {name: state.pid for name, state in Supervisor(live.stack).states().items()}


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def test_status_shows_every_program_healthy(live: Live) -> None:
    outcome = live.command("status")
    assert outcome.returncode == 0, outcome.stdout
    for name in PROGRAMS:
        assert f"\n{name} " in outcome.stdout
    assert "Total resident memory" in outcome.stdout


def test_up_on_a_running_stack_starts_only_the_program_that_is_missing(live: Live) -> None:
    before = process_ids(live)
    assert live.command("up").returncode == 0
    assert process_ids(live) == before

    os.kill(before["slack"], signal.SIGKILL)
    outcome = live.command("up")
    assert outcome.returncode == 0, outcome.stderr
    after = process_ids(live)
    assert {name for name in before if before[name] != after[name]} == {"slack"}
    assert after["slack"] != 0


def test_a_watch_that_is_killed_is_started_again_without_a_command(live: Live) -> None:
    killed = process_ids(live)["alerts"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: process_ids(live)["alerts"] not in (0, killed), 30, "it does not run again")
    wait_until(lambda: answers(f"{live.stack.alerts_url}/health"), 30, "it is not healthy")


def test_nothing_listens_beyond_the_loopback(live: Live) -> None:
    listening = {
        (each.laddr.ip, each.laddr.port)
        for process in marked_processes(live.stack)
        for each in of_the_living(lambda process=process: process.net_connections(kind="inet"))
        if each.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    }
    assert listening == {("127.0.0.1", int(live.command.environ[name])) for name in PORTS}


def test_no_secret_is_printed_or_in_a_command_line(live: Live) -> None:
    said = live.command("status").stdout + live.command("up").stdout
    for process in marked_processes(live.stack):
        said += " ".join(of_the_living(process.cmdline))
    assert not [name for name, value in vars(live.stack.secrets).items() if value in said]


def test_the_stacks_own_airflow_answers_to_run(live: Live) -> None:
    outcome = live.command("run", "airflow", "config", "get-value", "core", "executor")
    assert outcome.stdout.strip().endswith("LocalExecutor"), outcome.stderr


def test_other_settings_are_refused_while_the_stack_is_up(live: Live) -> None:
    other = StackCommand(live.command.environ | {"RETRAIN_SLACK_PORT": str(free_ports(1)[0])})
    outcome = other("up")
    assert outcome.returncode == 1
    assert "make down" in outcome.stderr


def test_no_process_survives_down_not_even_when_the_supervisor_was_killed(live: Live) -> None:
    stack = live.stack
    before = marked_processes(stack)
    supervisor = int((stack.run_dir / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGKILL)
    assert len(before) > len(PROGRAMS)

    outcome = live.command("down")

    assert outcome.returncode == 0, outcome.stderr
    assert not [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not marked_processes(stack)
    assert not stack.env_file.exists()
    assert (stack.state / "secrets.json").exists(), "the data stays"
    assert live.command("status").returncode == 1
    again = live.command("down")
    assert (again.returncode, "Nothing was running" in again.stdout) == (0, True)
