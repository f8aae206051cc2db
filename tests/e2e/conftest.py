"""A stack of its own for the end-to-end tests: another state folder, free ports, the checkout's own DAGs and HEAD."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

import trips  # noqa: E402
from airflow_client import AirflowClient  # noqa: E402
from settings import Stack, load_stack, read_stack_file  # noqa: E402

PIPELINE = "trip_duration"
DAY = date(2019, 9, 10)
PORTS = ("RETRAIN_AIRFLOW_PORT", "RETRAIN_MLFLOW_PORT", "RETRAIN_S3_PORT", "RETRAIN_SLACK_PORT")


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The condition's first true value; fails with `what` after `seconds`."""
    pause, deadline = Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        pause.wait(0.5)
    pytest.fail(f"{what} after {seconds} s")


@dataclass(frozen=True)
class Live:
    """A stack that is up."""

    stack: Stack
    airflow: AirflowClient
    variables: dict[str, str]

    def retrain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the release pin, as `make release` runs it."""
        environment = {**os.environ, **self.variables, "PYTHONPATH": str(ROOT / "plugins")}
        command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "retrain", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def git(self, *arguments: str) -> str:
        command = ["git", f"--git-dir={self.stack.origin}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def ended(self, dag: str, run_id: str, seconds: float = 420) -> dict[str, Any]:
        """The run, once it has ended."""

        def look() -> dict[str, Any] | None:
            run = next(r for r in self.airflow.runs(dag) if r["dag_run_id"] == run_id)
            return run if run["state"] in ("success", "failed") else None

        return dict(wait_until(look, seconds, f"{run_id} has not ended"))

    def messages(self) -> list[dict[str, Any]]:
        """What Slack has received."""
        import requests

        page = requests.get(f"{self.stack.slack_url}/messages.json", timeout=10).json()
        return [message for channel in page["channels"] for message in channel["messages"]]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The stack, with a year of trips landed up to and without DAY, and HEAD released as v1.0.0."""
    state = tmp_path_factory.mktemp("state")
    environment = {**os.environ, "RETRAIN_STATE": str(state)}
    environment |= {name: str(port) for name, port in zip(PORTS, _free_ports(len(PORTS)), strict=True)}
    command = [sys.executable, str(ROOT / "infra" / "local" / "stack.py")]
    # The download and the release environments are the same for every stack: shared, not made again.
    shared = ROOT / ".local"
    trips.fetch(shared)
    trips.cut(state=shared)
    up = subprocess.run([*command, "up"], env=environment, capture_output=True, text=True, check=False, timeout=300)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        stack = load_stack(ROOT, environment)
        variables = read_stack_file(stack.env_file)
        os.environ.update({name: value for name, value in variables.items() if name.startswith("AWS_")})
        trips.land(DAY - timedelta(days=365), DAY - timedelta(days=1), state=shared)
        running = Live(stack, AirflowClient(stack.airflow_url), variables)
        running.git("tag", "v1.0.0", "refs/heads/main")
        wait_until(lambda: running.airflow.dag(PIPELINE), 90, "Airflow has not read the DAG")
        released = running.retrain("release", "v1.0.0")
        assert released.returncode == 0, released.stderr
        running.airflow.unpause(PIPELINE)
        yield running
    finally:
        down = subprocess.run(
            [*command, "down"], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert down.returncode == 0, down.stdout + down.stderr
