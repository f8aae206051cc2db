"""The long-running programs of the local stack, in the order of their start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_configuration import airflow_variables
from program_variables import (
    alerts_variables,
    common_variables,
    inherited_environment,
    mlflow_variables,
    s3_server_variables,
    slack_server_variables,
)
from stack_model import LOOPBACK, MLFLOW_BUCKET, Stack


@dataclass(frozen=True)
class Program:
    """One long-running program under the supervisor.

    The programs of a `group` are stopped together. `address` is the URL that people open, empty for a program that does not
    listen. A program has one sign of health: `health` is a URL that answers 200, `component` its name in Airflow's health report,
    `heartbeat` a file that it touches at least once a minute. `result` is the file of its last work, for `make status`.
    """

    name: str
    group: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    address: str = ""
    port_variable: str = ""
    port: int = 0
    health: str = ""
    component: str = ""
    heartbeat: Path | None = None
    result: Path | None = None
    stop_seconds: int = 8


def plan_programs(stack: Stack, environ: Mapping[str, str]) -> tuple[Program, ...]:
    """The stack's programs in the order of their start. Nothing is started or written."""
    base = inherited_environment(environ) | common_variables(stack)
    servers = stack.root / ".local" / "envs" / "servers" / "bin"
    python = str(servers / "python")
    airflow = base | airflow_variables(stack)
    airflow_bin = str(stack.airflow_bin)

    def component(name: str, *arguments: str, **listens: object) -> Program:
        return Program(
            name=f"airflow-{name}",
            group="airflow",
            argv=(airflow_bin, name, *arguments),
            env=airflow,
            cwd=stack.root,
            component=name.replace("-", "_"),
            **listens,  # type: ignore[arg-type]
        )

    return (
        Program(
            name="s3",
            group="s3",
            argv=(python, "-m", "ministack"),
            env=base | s3_server_variables(stack),
            cwd=stack.state,
            address=stack.s3_url,
            port_variable="RETRAIN_S3_PORT",
            port=stack.ports.s3,
            health=f"{stack.s3_url}/_ministack/health",
            stop_seconds=30,
        ),
        Program(
            name="slack",
            group="slack",
            argv=(python, "-m", "slack_standin.server"),
            env=base | slack_server_variables(stack),
            cwd=Path(__file__).parent,
            address=stack.slack_url,
            port_variable="RETRAIN_SLACK_PORT",
            port=stack.ports.slack,
            health=f"{stack.slack_url}/health",
        ),
        Program(
            name="mlflow",
            group="mlflow",
            argv=(
                str(servers / "mlflow"),
                "server",
                f"--backend-store-uri=sqlite:///{stack.state}/mlflow/mlflow.db",
                f"--artifacts-destination=s3://{MLFLOW_BUCKET}",
                "--serve-artifacts",
                f"--host={LOOPBACK}",
                f"--port={stack.ports.mlflow}",
                "--workers=1",
                f"--allowed-hosts={LOOPBACK}:{stack.ports.mlflow},localhost:{stack.ports.mlflow}",
            ),
            env=base | mlflow_variables(stack),
            cwd=stack.state,
            address=stack.mlflow_url,
            port_variable="RETRAIN_MLFLOW_PORT",
            port=stack.ports.mlflow,
            health=f"{stack.mlflow_url}/health",
        ),
        Program(
            name="alerts",
            group="alerts",
            argv=(str(stack.root / ".venv" / "bin" / "python"), "-m", "retrain.alerts.watch"),
            env=base | alerts_variables(stack),
            cwd=stack.root,
            address=stack.alerts_url,
            port_variable="RETRAIN_ALERTS_PORT",
            port=stack.ports.alerts,
            health=f"{stack.alerts_url}/alive",
        ),
        # People and tasks have separate api-servers. A click writes Airflow's audit log on the server's event loop. On SQLite it
        # would wait there for a task's write, which only the same event loop can commit, until both time out.
        component(
            "api-server",
            "--apps=core",
            address=stack.airflow_url,
            port_variable="RETRAIN_AIRFLOW_PORT",
            port=stack.ports.airflow,
            health=f"{stack.airflow_url}/api/v2/version",
        ),
        Program(
            name="airflow-execution-api",
            group="airflow",
            argv=(airflow_bin, "api-server", "--apps=execution", f"--port={stack.ports.execution}"),
            env=airflow,
            cwd=stack.root,
            address=stack.execution_url,
            port_variable="RETRAIN_EXECUTION_PORT",
            port=stack.ports.execution,
            health=f"{stack.execution_url}/execution/health",
        ),
        # Without --skip-serve-logs they would listen on every interface. The api-server reads the same log files from the disk.
        component("scheduler", "--skip-serve-logs"),
        component("dag-processor"),
        component("triggerer", "--skip-serve-logs"),
        # Tasks have no access to Airflow's database, so a process beside the scheduler cleans it.
        Program(
            name="airflow-database-cleaner",
            group="airflow",
            argv=(str(stack.root / ".venv" / "bin" / "python"), "-m", "retrain.housekeeping.database_cleaner"),
            env=airflow | {"PYTHONPATH": str(stack.root / "plugins")},
            cwd=stack.root,
            heartbeat=stack.housekeeping / "database_cleaner.heartbeat",
            result=stack.housekeeping / "database.json",
        ),
    )
