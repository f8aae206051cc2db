"""A running stack, with the requests that the end-to-end tests send to it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests
import trips
from stack_airflow import StackAirflow
from stack_command import ROOT, StackCommand, on_free_ports
from stack_model import Stack
from state_files import read_stack_file

PIPELINE = "trip_duration"
DAY, DAY_BEFORE = date(2019, 9, 10), date(2019, 9, 9)
# The download and the big release environments are the same for every stack, so all stacks share them.
SHARED = ROOT / ".local"
BUILD = "import pathlib, sys; from retrain.work.environments.environment import provide; print(provide(*map(pathlib.Path, sys.argv[1:])).path)"


def wait_until(condition: Callable[[], Any], seconds: float, what: str, every: float = 0.5) -> Any:
    """The condition's first true value; fails with `what` after `seconds`."""
    pause, deadline = Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        pause.wait(every)
    pytest.fail(f"{what} after {seconds} s")


@dataclass(frozen=True)
class Live:
    """A stack that is up, with three pipelines: ours, another team's, and one whose file is broken."""

    command: StackCommand
    stack: Stack
    airflow: StackAirflow
    variables: dict[str, str]

    def retrain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `python -m retrain`, as `make release` does."""
        environment = {**os.environ, **self.variables, "PYTHONPATH": str(ROOT / "plugins")}
        command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "retrain", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600
        )

    def git(self, *arguments: str) -> str:
        command = ["git", f"--git-dir={self.stack.origin}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def ended(self, dag: str, run_id: str, seconds: float = 420) -> dict[str, Any]:
        """The run, once it has ended."""

        def look() -> dict[str, Any] | None:
            run = next(r for r in self.airflow.runs(dag) if r["dag_run_id"] == run_id)
            return run if run["state"] in ("success", "failed") else None

        return dict(wait_until(look, seconds, f"{run_id} has not ended: {self.states(dag, run_id)}"))

    def states(self, dag: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run."""
        return {name: task["state"] for name, task in self.airflow.tasks(dag, run_id).items()}

    def left_behind(self, dag: str, run_id: str, *tasks: str) -> dict[str, dict[str, Any]]:
        """The results of these tasks of a run; {} for a task without a result."""
        return {task: self.airflow.left_behind(dag, run_id, task) or {} for task in tasks}

    def messages(self) -> list[dict[str, Any]]:
        """What Slack has received."""
        page = requests.get(f"{self.stack.slack_url}/messages.json", timeout=10).json()
        return [message for channel in page["channels"] for message in channel["messages"]]

    def put(self, url: str, body: bytes) -> None:
        """Land one object in S3."""
        parts = urlsplit(url)
        boto3.client("s3").put_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"), Body=body)

    def stored(self, url: str) -> bytes:
        """The bytes of one object in S3."""
        parts = urlsplit(url)
        body: bytes = boto3.client("s3").get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read()
        return body

    def entry(self, run: dict[str, Any], name: str) -> bytes:
        """A file of the ledger entry of a run, given the result of `resolve_run`."""
        bucket = self.variables["RETRAIN_LEDGER_BUCKET"]
        return self.stored(f"s3://{bucket}/ledger/{run['pipeline']}/dt={run['partition']}/{run['run_key']}/{name}")

    def mlflow(self, endpoint: str, **parameters: str) -> dict[str, Any]:
        """MLflow's answer to a GET."""
        answer = requests.get(f"{self.stack.mlflow_url}/api/2.0/mlflow/{endpoint}", params=parameters, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def mlflow_runs(self, experiment: str, run_key: str) -> list[dict[str, Any]]:
        """The MLflow runs of one run key."""
        named = self.mlflow("experiments/get-by-name", experiment_name=experiment)["experiment"]["experiment_id"]
        body = {"experiment_ids": [named], "filter": f"tags.run_key = '{run_key}'"}
        answer = requests.post(f"{self.stack.mlflow_url}/api/2.0/mlflow/runs/search", json=body, timeout=30)
        answer.raise_for_status()
        return list(answer.json().get("runs", []))

    def mlflow_files(self, run_id: str, *folders: str) -> set[str]:
        """The paths of a run's artifacts in these folders."""
        listings = [self.mlflow("artifacts/list", run_id=run_id, path=folder) for folder in folders]
        return {file["path"] for listing in listings for file in listing.get("files", [])}


@dataclass(frozen=True)
class Killed:
    """A backfill's run whose training was killed, and the checkout that it was killed in."""

    run_id: str
    checkout: Path


def share_environments(state: Path, projects: tuple[Path, ...]) -> None:
    """Build the big environments of these project folders in the shared folder, and link them into this stack.

    Smaller ones, and those of a release with another lock, are built by the stack's own tasks.
    """
    shared, own = SHARED / "retrain" / "environments", state / "retrain" / "environments"
    own.mkdir(parents=True)
    variables = {"RETRAIN_UV": str(SHARED / "tools" / "bin" / "uv"), "PYTHONPATH": str(ROOT / "plugins")}
    for project in projects:
        command = [str(ROOT / ".venv" / "bin" / "python"), "-c", BUILD, str(project), str(shared)]
        built = subprocess.run(
            command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=600
        )
        assert built.returncode == 0, built.stderr
        path = Path(built.stdout.strip())
        (own / path.name).symlink_to(path)


@contextmanager
def stack_with_trips(state: Path, pipelines: Path) -> Iterator[Live]:
    """The same as `stack_up`, for our own pipeline too: its environment is built and its raw days are cut before."""
    trips.fetch(SHARED)
    trips.cut(state=SHARED)
    with stack_up(state, pipelines, ROOT / "pipeline") as live:
        yield live


@contextmanager
def stack_up(state: Path, pipelines: Path, *projects: Path) -> Iterator[Live]:
    """Run a stack of the checkout on free ports, with these pipelines, until the end of the block.

    `projects` have the big environments that its releases need.
    """
    # Below a path, as behind many a company's proxy: every address that is made without it is found here.
    command = on_free_ports(state, RETRAIN_PIPELINES=str(pipelines), RETRAIN_AIRFLOW_PATH="/airflow")
    share_environments(state, (*projects, ROOT / "infra" / "dvc"))
    up = command("up")
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        stack = command.stack
        variables = read_stack_file(stack.env_file)
        os.environ.update({name: value for name, value in variables.items() if name.startswith("AWS_")})
        yield Live(command, stack, StackAirflow(stack.airflow_url), variables)
    finally:
        down = command("down")
        assert down.returncode == 0, down.stdout + down.stderr
