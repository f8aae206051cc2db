"""The stack's commands `up`, `status`, `down` and `run`, on real processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from loopback import ROOT, answers, free_ports, wait_until
from processes import marked_processes
from stack_loading import load_stack
from stack_model import Stack
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
)
SERVERS = ("AIRFLOW", "MLFLOW", "S3", "SLACK", "EXECUTION", "ALERTS")


@dataclass
class Command:
    """The stack's command line, on its own state folder."""

    environ: dict[str, str]
    root: Path = ROOT

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.root / "infra" / "local" / "stack.py"), *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=290,
            check=False,
        )

    @property
    def stack(self) -> Stack:
        return load_stack(self.root, self.environ)


def command(state: Path, root: Path = ROOT) -> Command:
    ports = dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "RETRAIN_"))}
    variables = {f"RETRAIN_{name}_PORT": str(port) for name, port in ports.items()}
    return Command(inherited | variables | {"RETRAIN_STATE": str(state)}, root)


def of_the_living(ask: Callable[[], list]) -> list:
    """Ask a process for a list; Airflow's short-lived children may have ended since they were found."""
    try:
        return ask()
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Command]:
    """Bring a whole stack up once for this module."""
    stack = command(tmp_path_factory.mktemp("stack"))
    outcome = stack("up")
    if outcome.returncode:
        stack("down")
        pytest.fail(f"{outcome.stdout}\n{outcome.stderr}")
    yield stack
    stack("down")


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Command]:
    """A checkout whose Airflow cannot start."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "infra" / "local", root / "infra" / "local", ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".local").mkdir()
    (root / ".local" / "envs").symlink_to(ROOT / ".local" / "envs")
    airflow = root / ".venv" / "bin" / "airflow"
    airflow.parent.mkdir(parents=True)
    airflow.write_text('#!/bin/sh\n[ "$1" = db ] && exit 0\necho "the scheduler cannot find its feet" >&2\nexit 3\n')
    airflow.chmod(0o755)
    watch = airflow.with_name("python")
    watch.write_text("#!/bin/sh\nexec sleep 600\n")
    watch.chmod(0o755)
    stack = command(tmp_path / "state", root)
    yield stack
    stack("down")


def test_status_shows_every_program_healthy(running):
    outcome = running("status")
    assert outcome.returncode == 0, outcome.stdout
    for name in PROGRAMS:
        assert f"\n{name} " in outcome.stdout
    assert "Total resident memory" in outcome.stdout


def test_up_on_a_running_stack_is_quick_and_starts_what_is_missing(running):
    began = time.monotonic()
    assert running("up").returncode == 0
    assert time.monotonic() - began < 10

    killed = Supervisor(running.stack).states()["slack"].pid
    os.kill(killed, signal.SIGKILL)
    outcome = running("up")
    assert outcome.returncode == 0, outcome.stderr
    assert Supervisor(running.stack).states()["slack"].pid not in (0, killed)


def test_a_watch_that_is_killed_is_back_in_seconds(running):
    killed = Supervisor(running.stack).states()["alerts"].pid
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: Supervisor(running.stack).states()["alerts"].pid not in (0, killed), "it runs again")
    wait_until(lambda: answers(f"{running.stack.alerts_url}/health"), "it is healthy")


def test_nothing_listens_beyond_the_loopback(running):
    listening = {
        (each.laddr.ip, each.laddr.port)
        for process in marked_processes(running.stack)
        for each in of_the_living(lambda process=process: process.net_connections(kind="inet"))
        if each.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    }
    ports = {int(running.environ[f"RETRAIN_{name}_PORT"]) for name in SERVERS}
    assert listening == {("127.0.0.1", port) for port in ports}


def test_no_secret_is_printed_or_in_a_command_line(running):
    said = running("status").stdout + running("up").stdout
    for process in marked_processes(running.stack):
        said += " ".join(of_the_living(process.cmdline))
    assert not [name for name, value in vars(running.stack.secrets).items() if value in said]


def test_the_stacks_own_airflow_answers_to_run(running):
    outcome = running("run", "airflow", "config", "get-value", "core", "executor")
    assert outcome.stdout.strip().endswith("LocalExecutor"), outcome.stderr


def test_other_settings_are_refused_while_the_stack_is_up(running):
    other = Command(running.environ | {"RETRAIN_SLACK_PORT": str(free_ports(1)[0])})
    outcome = other("up")
    assert outcome.returncode == 1
    assert "make down" in outcome.stderr


def test_no_process_survives_down_not_even_when_the_supervisor_was_killed(running):
    stack = running.stack
    before = marked_processes(stack)
    supervisor = int((stack.run_dir / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGKILL)
    assert len(before) > len(PROGRAMS)

    outcome = running("down")

    assert outcome.returncode == 0, outcome.stderr
    assert not [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not marked_processes(stack)
    assert not stack.env_file.exists()
    assert (stack.state / "secrets.json").exists(), "the data stays"
    assert running("status").returncode == 1
    again = running("down")
    assert (again.returncode, "Nothing was running" in again.stdout) == (0, True)


def test_a_taken_port_is_named_with_its_holder_and_the_variable_to_set(tmp_path):
    stack = command(tmp_path)
    port = int(stack.environ["RETRAIN_MLFLOW_PORT"])
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        outcome = stack("up")
    assert outcome.returncode == 1
    assert f"Port {port} for mlflow is taken by pid {os.getpid()} (" in outcome.stderr
    assert "pytest" in outcome.stderr
    assert f"RETRAIN_MLFLOW_PORT={port + 1} make up" in outcome.stderr
    assert not marked_processes(stack.stack)


def test_a_program_that_does_not_stay_up_is_named_with_the_end_of_its_log(broken):
    outcome = broken("up")
    assert outcome.returncode == 1
    # All programs of Airflow fail here; the first that supervisord gives up is named.
    assert re.search(r"^airflow-[a-z-]+ does not stay up\.", outcome.stderr, re.MULTILINE)
    assert "| the scheduler cannot find its feet" in outcome.stderr
    assert broken("status").returncode == 1


def test_without_airflows_environment_up_says_what_is_missing(broken):
    shutil.rmtree(broken.root / ".venv")
    outcome = broken("up")
    assert outcome.returncode == 1
    assert "uv sync" in outcome.stderr


def test_processes_that_outlived_their_supervisor_are_ended_by_the_next_up(broken):
    broken("up")
    orphan = next(p for p in marked_processes(broken.stack) if "ministack" in " ".join(p.cmdline()))
    os.kill(int((broken.stack.run_dir / "supervisord.pid").read_text()), signal.SIGKILL)
    outcome = broken("up")
    assert "whose supervisor is gone" in outcome.stdout
    assert not orphan.is_running()
