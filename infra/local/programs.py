"""The programs of the local stack: what is started, in which order, and how one asks it whether it is well."""

from __future__ import annotations

import json
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
from state_files import write_private


@dataclass(frozen=True)
class Program:
    """One long-running program under the supervisor.

    `group` programs are stopped together; `address` is what a person opens, empty for a program that does not listen;
    `health` is the URL that answers 200 when it is well; `component` is its name in Airflow's own health report.
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
    stop_seconds: int = 8


def plan_programs(stack: Stack, environ: Mapping[str, str]) -> tuple[Program, ...]:
    """List the stack's programs in the order of their start. Pure: the same stack gives the same programs."""
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
        # What people ask and what tasks report are two processes: a click writes Airflow's audit log on its server's event
        # loop, and on SQLite would wait there for a task's write that only this very loop can commit, until both give up.
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
        # The log servers would listen on every interface. The api-server reads the same files from the disk.
        component("scheduler", "--skip-serve-logs"),
        component("dag-processor"),
        component("triggerer", "--skip-serve-logs"),
    )


def plan_file(stack: Stack, program: Program) -> Path:
    """Give the file from which `launch.py` learns what to become."""
    return stack.run_dir / f"{program.name}.json"


def write_plan(stack: Stack, program: Program) -> None:
    """Write the launch plan of a program; it holds secrets, hence mode 0600."""
    plan = {"argv": program.argv, "env": dict(program.env), "cwd": str(program.cwd)}
    write_private(plan_file(stack, program), json.dumps(plan, indent=1) + "\n")


def differs_from_plan(stack: Stack, program: Program, environ: Mapping[str, str]) -> bool:
    """Tell whether a program was started as something else than it would be now. What it inherited does not count."""
    try:
        plan = json.loads(plan_file(stack, program).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True
    inherited = inherited_environment(environ)
    own = {name: value for name, value in program.env.items() if name not in inherited}
    return plan["argv"] != list(program.argv) or any(plan["env"].get(name) != value for name, value in own.items())
