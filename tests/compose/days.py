"""Requests that the tests send to the running containers."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from typing import Any

import images
import requests
from airflow_client import AirflowError
from containers import Containers
from running_stack import ROOT, wait_until
from state_files import read_stack_file

PIPELINE = "trip_duration"
DAY = date(2020, 3, 9)
_SECONDS = 900


def trigger(containers: Containers, day: date, name: str = "test") -> str:
    return containers.airflow.trigger(PIPELINE, f"{name}__{day}", {"partition": day.isoformat()})


def task(containers: Containers, run_id: str, task_id: str) -> dict[str, Any]:
    return containers.airflow.tasks(PIPELINE, run_id)[task_id]


def ended(containers: Containers, run_id: str) -> str:
    """Wait for a run's end; returns its state. Airflow may be restarting meanwhile."""

    def state() -> str | None:
        try:
            runs = {run["dag_run_id"]: run["state"] for run in containers.airflow.runs(PIPELINE)}
        except (requests.RequestException, AirflowError):
            return None
        return runs[run_id] if runs[run_id] in ("success", "failed") else None

    return str(wait_until(state, _SECONDS, f"{run_id} does not end"))


def left_behind(containers: Containers, run_id: str, task_id: str) -> dict[str, Any]:
    found = containers.airflow.left_behind(PIPELINE, run_id, task_id)
    assert found is not None
    return found


def worker_at(containers: Containers, stage: str) -> str | None:
    """The id of the worker's container in which a stage of the pipeline runs now."""
    for container in docker("ps", "--quiet", f"--filter=name={containers.project}[-_]airflow-worker").split():
        if f"-m pipeline.{stage}" in docker("top", container, "-eo", "pid,args"):
            return container
    return None


def docker(*arguments: str) -> str:
    done = subprocess.run([images.docker(), *arguments], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def in_worker(containers: Containers, *command: str) -> str:
    """Run a command in a worker's container."""
    return containers.compose("exec", "-T", "airflow-worker", *command)


def retrain(containers: Containers, *arguments: str) -> str:
    """Run our own command on this machine against the containers."""
    variables = os.environ | read_stack_file(containers.stack.env_file) | {"PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", "-m", "retrain", *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def built_at_run_time(containers: Containers) -> str:
    """Environments and packages that were fetched at run time although the worker's image has them."""
    places = "/var/lib/retrain/environments /var/lib/retrain/uv"
    return in_worker(containers, "sh", "-c", f"find {places} -mindepth 1 -maxdepth 1 2>/dev/null; true").strip()


def ask_prometheus(containers: Containers, path: str, **parameters: str) -> Any:
    port = containers.published("prometheus")
    answer = requests.get(f"http://127.0.0.1:{port}/api/v1/{path}", params=parameters, timeout=30)
    assert answer.ok, answer.text
    return answer.json()["data"]


def mlflow_runs(containers: Containers, run_key: str) -> list[str]:
    """The ids of the MLflow runs of a run key."""
    url = f"{containers.stack.mlflow_url}/api/2.0/mlflow"
    experiments = requests.post(f"{url}/experiments/search", json={"max_results": 100}, timeout=30).json()[
        "experiments"
    ]
    query = {"experiment_ids": [e["experiment_id"] for e in experiments], "filter": f"tags.`run_key` = '{run_key}'"}
    return [
        run["info"]["run_id"]
        for run in requests.post(f"{url}/runs/search", json=query, timeout=30).json().get("runs", [])
    ]


def slack_messages(containers: Containers) -> list[dict[str, Any]]:
    channels = requests.get(f"{containers.stack.slack_url}/messages.json", timeout=30).json()["channels"]
    return [message for channel in channels for message in channel["messages"]]


def says(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False)
