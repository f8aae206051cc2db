"""Sixteen pipelines of one long stage start at once on four worker slots; prints a table: `load.py [--hour SECONDS]`.

Airflow runs as in docker-compose.airflow.yml: api-server, scheduler, dag-processor, triggerer and two Celery workers of two slots, each
with the settings and secrets of its service, on a real Redis and Postgres. The pipelines are those of dags/retrain_pipelines.py. Their
stage takes --hour seconds (60) where a training takes an hour, and the time limits of waiting tasks are shortened in the same ratio.
`--before` first plays the day with Airflow's own limits and a parallelism of 16 on the same slots. Exits 1 if a run of the
compose file's settings is not green at its first try.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import requests

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("infra/local", "infra/docker", "tests/e2e", "tests/bench")]

from airflow_client import AirflowClient  # noqa: E402
from buckets import apply_buckets, s3_client  # noqa: E402
from compose_processes import ComposeProcesses  # noqa: E402
from database_servers import postgres_command, redis_command  # noqa: E402
from processes import end_processes, marked_processes  # noqa: E402
from program_variables import s3_variables  # noqa: E402
from programs import plan_programs  # noqa: E402
from secret_files import make_secrets  # noqa: E402
from sleeping_pipelines import RELEASE, make_sleeping_origin, write_pipelines  # noqa: E402
from stack_airflow import StackAirflow  # noqa: E402
from stack_command import free_ports  # noqa: E402
from stack_model import Ports, Secrets, Stack  # noqa: E402

PIPELINES = [f"load_{number:02}" for number in range(1, 17)]
WORKERS, CONCURRENCY = 2, 2
_HOUR = 3600
_END = ("success", "failed")
_BUILD = "import pathlib, sys; from retrain.work.environments.environment import provide; provide(*map(pathlib.Path, sys.argv[1:]))"


class LoadError(Exception):
    """The stack did not come up or the runs did not end in time; the message says which."""


@dataclass(frozen=True)
class Played:
    """One morning: how its runs and tasks ended, and how many tasks stood in line."""

    settings: str
    runs: Counter[str]
    tasks: int
    tries: Counter[int]
    requeued: int
    most_queued: int
    seconds: float

    def row(self) -> str:
        again = sum(count for number, count in self.tries.items() if number > 1)
        cells = (self.settings, self.runs["success"], self.runs["failed"], again, self.requeued, self.most_queued)
        return "| " + " | ".join(map(str, cells)) + f" | {self.seconds:.0f} s |"


def await_true(condition: Callable[[], bool], seconds: float, what: str, every: float = 0.5) -> None:
    """Wait until `condition` holds. A server that does not answer counts as not yet.

    Raises:
        LoadError: it did not hold in time.
    """
    pause, deadline = Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except requests.RequestException:
            pass  # asked again below, until the deadline
        pause.wait(every)
    raise LoadError(f"{what} after {seconds:.0f} s")


def lay_out(state: Path, hour: float) -> tuple[ComposeProcesses, dict[str, int]]:
    """Secrets, the pipelines and the ports of Postgres and Redis; nothing is started."""
    ports = free_ports(len(Ports.__dataclass_fields__) + 2)
    own = Ports(**dict(zip(Ports.__dataclass_fields__, ports, strict=False)))
    postgres, redis = ports[-2:]
    files = make_secrets(state / "secrets", local=True)
    here = {
        "@postgres:5432/airflow": f"@127.0.0.1:{postgres}/postgres",
        "@redis:6379": f"@127.0.0.1:{redis}",
        "http://s3:9000": f"http://127.0.0.1:{own.s3}",
        '"host": "mlflow", "port": 5000': f'"host": "127.0.0.1", "port": {own.mlflow}',
    }
    for path in files.folder.iterdir():
        text = path.read_text()
        for inside, address in here.items():
            text = text.replace(inside, address)
        path.write_text(text)
    keys = dict(line.split("=", 1) for line in files.read("s3_keys").splitlines())
    known = replace(
        Secrets.generate(), s3_access_key=keys["AWS_ACCESS_KEY_ID"], s3_secret_key=keys["AWS_SECRET_ACCESS_KEY"]
    )
    stack = Stack(ROOT, state, own, known)
    settings = {
        "RETRAIN_AIRFLOW_URL": stack.airflow_url,
        "RETRAIN_WORKERS": str(WORKERS),
        "AIRFLOW_WORKER_CONCURRENCY": str(CONCURRENCY),
    }
    origin = make_sleeping_origin(state / "origin", hour)
    write_pipelines(state / "pipelines", PIPELINES, origin)
    return ComposeProcesses(stack, files.folder, settings), {"postgres": postgres, "redis": redis}


def addresses(stack: Stack) -> dict[str, str]:
    """The variables that the compose file has not, because its containers mount the pipelines and know each other by name."""
    return {"RETRAIN_PIPELINES": str(stack.state / "pipelines"), "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1"}


def start(processes: ComposeProcesses, ports: Mapping[str, int]) -> StackAirflow:
    """Start the servers and Airflow without its scheduler."""
    stack = processes.stack
    os.environ |= s3_variables(stack)
    for folder in ("s3", "mlflow", "retrain", "run"):
        (stack.state / folder).mkdir(parents=True)
    password = (processes.secrets / "airflow_database_password").read_text()
    processes.launch("postgres", postgres_command(stack.state, ports["postgres"], password), {})
    listen = ["--port", str(ports["redis"]), "--bind", "127.0.0.1", "--dir", str(stack.state)]
    processes.start("redis", program=redis_command(stack.state), arguments=listen)
    for program in plan_programs(stack, os.environ):
        if program.name in ("s3", "mlflow"):
            processes.launch(program.name, program.argv, program.env)
    s3 = f"{stack.s3_url}/_ministack/health"
    await_true(lambda: requests.get(s3, timeout=5).ok, 60, "S3 does not answer")
    apply_buckets(stack)
    built = subprocess.run(
        [
            str(ROOT / ".venv" / "bin" / "python"),
            "-c",
            _BUILD,
            str(ROOT / "infra" / "dvc"),
            str(stack.state / "retrain" / "environments"),
        ],
        env=os.environ | {"PYTHONPATH": "plugins", "RETRAIN_UV": str(ROOT / ".local/tools/bin/uv")},
        cwd=ROOT,
        check=False,
    )
    if built.returncode:
        raise LoadError("DVC's environment was not built")
    processes.start("airflow-init", changes=addresses(stack))
    if processes.running.pop("airflow-init").wait(300):
        raise LoadError(f"airflow db migrate failed: see {stack.log_dir}/airflow-init.log")
    for service in ("airflow-api-server", "airflow-dag-processor", "airflow-triggerer"):
        processes.start(service, changes=addresses(stack))
    start_workers(processes)
    page = f"{stack.airflow_url}/api/v2/version"
    await_true(lambda: requests.get(page, timeout=5).ok, 240, "the api-server does not answer")
    return StackAirflow(stack.airflow_url, (processes.secrets / "admin_password").read_text())


def start_workers(processes: ComposeProcesses) -> None:
    stack = processes.stack
    for number in range(1, WORKERS + 1):
        name = f"worker-{number}"
        processes.start("airflow-worker", name=name, arguments=("--celery-hostname", name), changes=addresses(stack))


def release(processes: ComposeProcesses, airflow: StackAirflow) -> None:
    """Pin the release for every pipeline, once Airflow knows them all, and unpause them."""
    for name in PIPELINES:
        await_true(lambda name=name: airflow.dag(name) is not None, 180, f"Airflow has not read {name}")
    stack, first = processes.stack, PIPELINES[0]
    variables = addresses(stack) | {
        "PYTHONPATH": "plugins",
        "RETRAIN_HOME": str(stack.state / "retrain"),
        "RETRAIN_AIRFLOW_URL": stack.airflow_url,
        "AIRFLOW_API_USER": "admin",
        "AIRFLOW_API_PASSWORD_FILE": str(processes.secrets / "admin_password"),
        **{f"RETRAIN_{name}_BUCKET": f"retrain-{name.lower()}" for name in ("RAW", "STORE", "LEDGER")},
        "RETRAIN_SLACK_CHANNEL": "#retrain-alerts",
        "AIRFLOW_HOME": str(stack.state / "homes" / "command"),
    }
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "retrain", "--pipeline", first, "release", RELEASE]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=False)
    if done.returncode:
        raise LoadError("the release was refused")
    for name in PIPELINES[1:]:
        airflow.copy_variable(f"{first}_release", f"{name}_release")
    for name in PIPELINES:
        airflow.unpause(name)


def play(
    processes: ComposeProcesses, airflow: AirflowClient, settings: str, day: str, hour: float, limits: Mapping[str, str]
) -> Played:
    """Trigger a run of every pipeline, and wait until all have ended. `limits` are the scheduler's settings that differ."""
    s3 = s3_client(processes.stack)
    for name in ("visits.txt", "_SUCCESS"):
        s3.put_object(Bucket="retrain-raw", Key=f"raw/load/dt={day}/{name}", Body=day.encode())
    # With a parallelism of its own it runs without the command that sets it.
    command = ["airflow", "scheduler", "--skip-serve-logs"] if "AIRFLOW__CORE__PARALLELISM" in limits else []
    processes.start("airflow-scheduler", command=command, changes=addresses(processes.stack) | dict(limits))
    began = time.monotonic()
    for name in PIPELINES:
        airflow.trigger(name, day, {"partition": day})
    most_queued, states = 0, Counter[str]()

    def ended() -> bool:
        nonlocal most_queued, states
        queued = airflow.request("GET", "/dags/~/dagRuns/~/taskInstances?state=queued&limit=1")["total_entries"]
        most_queued = max(most_queued, queued)
        states = Counter(run["state"] for run in airflow.runs("~") if run["dag_run_id"] == day)
        return sum(states[state] for state in _END) == len(PIPELINES)

    await_true(ended, 30 * hour + 600, "not all runs have ended", every=3)
    seconds = time.monotonic() - began
    tasks = [task for name in PIPELINES for task in airflow.tasks(name, day).values()]
    stuck = f"/eventLogs?event=stuck%20in%20queued%20reschedule&run_id={day}&limit=1"
    requeued = airflow.request("GET", stuck)["total_entries"]
    processes.stop("airflow-scheduler")
    tries = Counter(task["try_number"] for task in tasks)
    return Played(settings, states, len(tasks), tries, requeued, most_queued, seconds)


def table(played: Sequence[Played], hour: float) -> str:
    """The mornings as a table in Markdown."""
    heads = (
        "Settings",
        "Green runs",
        "Failed runs",
        "Tasks at a second try",
        "Tasks sent again",
        "Most in *queued*",
        "All ended after",
    )
    lines = [
        f"\n{len(PIPELINES)} pipelines, a stage of {hour:.0f} s for an hour, {WORKERS} workers of {CONCURRENCY} slots\n",
        f"| {' | '.join(heads)} |",
        "| --- " * len(heads) + "|",
        *(each.row() for each in played),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--hour", type=float, default=60, metavar="SECONDS", help="what the stage takes instead of an hour"
    )
    parser.add_argument("--before", action="store_true", help="first with parallelism 16 and Airflow's own limits")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs")
    options = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="retrain-load-"))
    state.chmod(0o711)  # Postgres has a user of its own
    ratio = _HOUR / options.hour
    today = datetime.now(UTC).date()
    played = []
    processes, ports = lay_out(state, options.hour)
    try:
        airflow = start(processes, ports)
        release(processes, airflow)
        if options.before:
            limits = {
                "AIRFLOW__CORE__PARALLELISM": "16",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": f"{600 / ratio:.1f}",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": f"{120 / ratio:.1f}",
                "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "2",
            }
            day = (today - timedelta(days=2)).isoformat()
            played.append(play(processes, airflow, "parallelism 16, timeout 600 s", day, options.hour, limits))
        limits = {
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": f"{1800 / ratio:.1f}",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": f"{max(1, 15 / ratio):.1f}",
        }
        day = (today - timedelta(days=1)).isoformat()
        played.append(play(processes, airflow, "the compose file's", day, options.hour, limits))
    finally:
        processes.stop_all()
        end_processes(marked_processes(processes.stack), grace_seconds=10)
        if not options.keep:
            shutil.rmtree(state)
    sys.stdout.write(table(played, options.hour))
    last = played[-1]
    return 0 if last.runs["success"] == len(PIPELINES) and set(last.tries) <= {0, 1} else 1


if __name__ == "__main__":
    sys.exit(main())
