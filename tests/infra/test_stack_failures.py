"""What `stack.py up` says and leaves behind when the stack cannot start."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import ROOT
from processes import marked_processes

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from stack_command import StackCommand, on_free_ports

Outcome = subprocess.CompletedProcess[str]


def checkout(root: Path) -> Path:
    """A checkout of the local stack, without Airflow's environment."""
    shutil.copytree(ROOT / "infra" / "local", root / "infra" / "local", ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".local").mkdir()
    (root / ".local" / "envs").symlink_to(ROOT / ".local" / "envs")
    return root


def held(stack: StackCommand) -> tuple[socket.socket, StackCommand]:
    """A server on a port of the loopback, and the stack's command with that port for MLflow."""
    holder = socket.create_server(("127.0.0.1", 0))
    return holder, StackCommand(stack.environ | {"RETRAIN_MLFLOW_PORT": str(holder.getsockname()[1])}, root=stack.root)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackCommand]:
    """A checkout whose Airflow ends with an error as soon as it has started, on free ports."""
    folder = tmp_path_factory.mktemp("broken")
    root = checkout(folder / "checkout")
    airflow = root / ".venv" / "bin" / "airflow"
    airflow.parent.mkdir(parents=True)
    airflow.write_text('#!/bin/sh\n[ "$1" = db ] && exit 0\necho "the scheduler cannot find its feet" >&2\nexit 3\n')
    airflow.chmod(0o755)
    watch = airflow.with_name("python")
    watch.write_text("#!/bin/sh\nexec sleep 600\n")
    watch.chmod(0o755)
    stack = on_free_ports(folder / "state", root)
    yield stack
    stack("down")


@pytest.fixture(scope="module")
def failed(broken: StackCommand) -> Outcome:
    """The outcome of its `up`, after which the servers that could start still run."""
    return broken("up")


def test_a_taken_port_is_named_with_its_holder_and_the_variable_to_set(tmp_path: Path) -> None:
    holder, stack = held(on_free_ports(tmp_path))
    with holder:
        outcome = stack("up")
        port = holder.getsockname()[1]
    assert outcome.returncode == 1
    assert f"Port {port} for mlflow is taken by pid {os.getpid()} (" in outcome.stderr
    assert "pytest" in outcome.stderr
    assert f"RETRAIN_MLFLOW_PORT={port + 1} make up" in outcome.stderr
    assert not marked_processes(stack.stack)


def test_without_airflows_environment_up_says_what_is_missing(tmp_path: Path) -> None:
    outcome = on_free_ports(tmp_path / "state", checkout(tmp_path / "checkout"))("up")
    assert outcome.returncode == 1
    assert "uv sync" in outcome.stderr


@pytest.mark.slow
def test_a_program_that_does_not_stay_up_is_named_with_the_end_of_its_log(
    broken: StackCommand, failed: Outcome
) -> None:
    assert failed.returncode == 1
    # All programs of Airflow fail here; the first that supervisord gives up is named.
    assert re.search(r"^airflow-[a-z-]+ does not stay up\.", failed.stderr, re.MULTILINE)
    assert "| the scheduler cannot find its feet" in failed.stderr
    assert broken("status").returncode == 1


def test_processes_that_outlived_their_supervisor_are_ended_by_the_next_up(
    broken: StackCommand, failed: Outcome
) -> None:
    assert failed.returncode == 1
    orphan = next(p for p in marked_processes(broken.stack) if "ministack" in " ".join(p.cmdline()))
    os.kill(int((broken.stack.run_dir / "supervisord.pid").read_text()), signal.SIGKILL)
    # A taken port ends this `up` before it starts the programs again.
    holder, again = held(broken)
    with holder:
        outcome = again("up")
    assert "whose supervisor is gone" in outcome.stdout
    assert not orphan.is_running()
