"""The deployment in containers on this machine, with profile `local`: `containers.py up | down | demo`.

up      makes missing secrets, images and the Git origin, then starts docker-compose.airflow.yml and waits until all are healthy
down    stops it; running stages end first, the volumes stay
demo    does `up`, then plays the days of `make demo`

Its state is the folder `compose` below RETRAIN_STATE or `.local`: secrets/, settings.env (the compose file's variables, for you to
edit), origin.git, and stack.env, with which the tools on this machine reach the containers. COMPOSE_PROJECT_NAME is read from the
environment, and the compose file's variables are read from there or from settings.env, such as RETRAIN_WORKERS (2).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import demo
import images
import requests
import trips
from airflow_client import AirflowClient, AirflowError
from buckets import BucketError, apply_buckets
from origin import LocalOriginError, publish_checkout
from program_variables import s3_variables
from rich.console import Console
from secret_files import SecretFiles, SecretsError, make_secrets
from stack_model import Ports, Secrets, Stack
from state_files import write_private

ROOT = Path(__file__).resolve().parents[2]
_FILE = ROOT / "docker-compose.airflow.yml"
_UP_SECONDS = 600
_DOWN_SECONDS = 1200  # more than a worker gives its stages
_MOST_STARTS = 3


class ContainersError(Exception):
    """A container did not come up, or a Docker command failed; the message has the end of its output."""


@dataclass(frozen=True)
class Containers:
    """A deployment on this machine's Docker engine. `project` is its name in compose."""

    stack: Stack
    files: SecretFiles
    project: str

    @property
    def airflow(self) -> AirflowClient:
        """A new session as the user admin."""
        return AirflowClient(self.stack.airflow_url, self.files.read("admin_password"))

    def compose(self, *arguments: str, timeout: float = _UP_SECONDS) -> str:
        """Run a compose command on this deployment; returns its stdout. `timeout` is in seconds.

        Raises:
            ContainersError: it failed.
        """
        command = [
            images.docker(),
            "compose",
            "--file",
            str(_FILE),
            "--env-file",
            str(self.stack.state / "settings.env"),
        ]
        command += ["--project-name", self.project, "--profile", "local", *arguments]
        return _run(command, timeout)

    def start(self, *services: str) -> None:
        """Create and start services with their dependencies; an up-to-date container is left alone."""
        self.compose("up", "--detach", "--no-build", *services)

    def published(self, name: str) -> int:
        """The port at which this machine publishes a monitoring service: `prometheus`, `alertmanager` or `grafana`."""
        usual = {"prometheus": 9090, "alertmanager": 9093, "grafana": 3000}
        return int(os.environ.get(f"RETRAIN_{name.upper()}_PORT") or usual[name])

    def services(self) -> list[str]:
        """The names of all services in the compose file."""
        return self.compose("config", "--services").split()

    def states(self) -> dict[str, str]:
        """Container name -> its state: healthy, starting, unhealthy, `exited 0`, or `fails again and again, now …`."""
        program = images.docker()
        ids = _run(
            [program, "ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={self.project}"]
        ).split()
        found = {}
        for container in json.loads(_run([program, "inspect", *ids])) if ids else ():
            state = container["State"]
            health = state.get("Health", {}).get("Status", "")
            name = container["Name"].lstrip("/").removeprefix(self.project).strip("_-")
            said = health if state["Running"] and health else f"{state['Status']} {state['ExitCode']}"
            found[name] = said if container["RestartCount"] <= _MOST_STARTS else f"fails again and again, now {said}"
        return found


def of_environment(environ: Mapping[str, str]) -> Containers:
    """The deployment that the environment describes. Missing secrets and settings are made.

    Raises:
        SecretsError: a secret is missing that cannot be made here.
    """
    state = Path(environ.get("RETRAIN_STATE") or ROOT / ".local").absolute() / "compose"
    ports = {
        name: int(environ[variable])
        for name in Ports.__dataclass_fields__
        if (variable := f"RETRAIN_{name.upper()}_PORT") in environ
    }
    files = make_secrets(state / "secrets", local=True)
    keys = dict(line.split("=", 1) for line in files.read("s3_keys").splitlines())
    known = Secrets(
        s3_access_key=keys["AWS_ACCESS_KEY_ID"],
        s3_secret_key=keys["AWS_SECRET_ACCESS_KEY"],
        slack_token=files.read("slack_token"),
        jwt_secret=files.read("jwt_secret"),
        api_secret_key=files.read("api_secret_key"),
        fernet_key=files.read("fernet_key"),
    )
    containers = Containers(
        Stack(ROOT, state, Ports(**ports), known),
        files,
        environ.get("COMPOSE_PROJECT_NAME") or "retrain",
    )
    _write_settings(containers)
    return containers


def up(containers: Containers, say: Callable[[str], None] = print) -> None:
    """Start everything and wait until all is healthy.

    Raises:
        ContainersError: a service did not come up in time; the message has the end of its log.
        BucketError: the S3 server did not take its buckets.
        ImageError: an image was not built.
        LocalOriginError: the checkout was not published.
    """
    began = time.monotonic()
    stack = containers.stack
    if images.build_missing(say):
        # First, while everything else runs: the workers' running stages end and report. Compose would stop Airflow and its database first.
        containers.compose("stop", "airflow-worker", timeout=_DOWN_SECONDS)
    publish_checkout(stack, os.environ)
    containers.start("s3", "postgres", "redis")
    await_healthy(containers, "s3", began)
    apply_buckets(stack)
    containers.start(*containers.services())
    await_healthy(containers, "", began)
    say(f"Up after {time.monotonic() - began:.0f} s.")
    for name, url in (
        ("Airflow", f"{stack.airflow_url}  (admin, password in {containers.files.folder}/admin_password)"),
        ("MLflow", stack.mlflow_url),
        ("Slack", stack.slack_url),
        ("Alerts", stack.alerts_url),
    ):
        say(f"  {name:8} {url}")


def await_healthy(containers: Containers, prefix: str, began: float) -> None:
    """Wait until every container whose name begins with `prefix` is healthy or has exited with 0.

    Raises:
        ContainersError: one failed, or not all were healthy in time.
    """
    while True:
        states = {name: state for name, state in containers.states().items() if name.startswith(prefix)}
        failed = [
            name for name, state in states.items() if state.startswith(("exited", "fails")) and state != "exited 0"
        ]
        waiting = [f"{name} {state}" for name, state in sorted(states.items()) if state not in ("healthy", "exited 0")]
        if states and not waiting:
            return
        if failed or time.monotonic() - began > _UP_SECONDS:
            service = (failed or waiting)[0].split()[0].rstrip("0123456789").rstrip("_-")
            tail = containers.compose("logs", "--no-color", "--tail=40", service)
            raise ContainersError(
                f"Unhealthy after {time.monotonic() - began:.0f} s: {', '.join(waiting)}. {service} said:\n{tail}"
            )
        time.sleep(1)


def down(containers: Containers, *, volumes: bool = False) -> None:
    """Stop and remove the containers; with `volumes`, also their data.

    Raises:
        ContainersError: compose failed.
    """
    containers.compose("down", "--remove-orphans", *(["--volumes"] if volumes else []), timeout=_DOWN_SECONDS)


def play(containers: Containers) -> list[str]:
    """Play the days of `make demo` on these containers; returns and raises what `demo.play` does."""
    console, stack = Console(width=None if sys.stdout.isatty() else 150), containers.stack
    os.environ.update(s3_variables(stack))
    for name in ("downloads", "raw"):  # files that `make demo` has fetched are not fetched again
        (ROOT / ".local" / name).mkdir(parents=True, exist_ok=True)
        if not (stack.state / name).exists():
            (stack.state / name).symlink_to(ROOT / ".local" / name)
    return demo.play(stack, containers.airflow, console, time.monotonic())


def _write_settings(containers: Containers) -> None:
    """Write settings.env once, since the user may edit it, and stack.env each time."""
    stack, path = containers.stack, containers.stack.state / "settings.env"
    given = {
        "RETRAIN_SECRETS": str(containers.files.folder),
        "RETRAIN_ORIGIN": str(stack.origin),
        "RETRAIN_S3_ENDPOINT": "http://s3:9000",
        "RETRAIN_SLACK_API_URL": "http://slack:8090/api/",
        "RETRAIN_AIRFLOW_URL": stack.airflow_url,
        "RETRAIN_MLFLOW_URL": stack.mlflow_url,
        "RETRAIN_RUNBOOKS_URL": f"{stack.alerts_url}/runbooks",
    } | {
        f"RETRAIN_{name.upper()}_PORT": str(getattr(stack.ports, name))
        for name in ("airflow", "mlflow", "s3", "slack", "alerts")
    }
    if not path.exists():
        write_private(path, "".join(f"{name}={value}\n" for name, value in given.items()))
    tools = {
        "RETRAIN_AIRFLOW_URL": stack.airflow_url,
        "RETRAIN_REPOSITORY": str(stack.origin),
        "RETRAIN_HOME": str(stack.state / "retrain"),
        "RETRAIN_RAW_BUCKET": "retrain-raw",
        "RETRAIN_STORE_BUCKET": "retrain-store",
        "RETRAIN_LEDGER_BUCKET": "retrain-ledger",
        "RETRAIN_SLACK_CHANNEL": "#retrain-alerts",
        "AIRFLOW_API_USER": "admin",
        "AIRFLOW_API_PASSWORD_FILE": str(containers.files.folder / "admin_password"),
    } | s3_variables(stack)
    write_private(stack.env_file, "".join(f"{name}={value}\n" for name, value in sorted(tools.items())))


def _run(command: Sequence[str], timeout: float = 120) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)
    if done.returncode:
        raise ContainersError(
            f"{' '.join(command[:9])}… ended with exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-3000:]}"
        )
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("up", "down", "demo"))
    options = parser.parse_args()
    problems: list[str] = []
    try:
        containers = of_environment(os.environ)
        if options.command == "down":
            down(containers)
        else:
            up(containers)
        if options.command == "demo":
            problems = play(containers)
    except (
        AirflowError,
        BucketError,
        ContainersError,
        LocalOriginError,
        SecretsError,
        demo.DemoError,
        images.ImageError,
        requests.RequestException,
        trips.TripsError,
    ) as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
