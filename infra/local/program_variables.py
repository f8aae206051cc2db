"""The environment variables of the stack's programs, except Airflow's own."""

from __future__ import annotations

from collections.abc import Mapping

from stack_model import (
    LEDGER_BUCKET,
    LOOPBACK,
    RAW_BUCKET,
    REGION,
    SLACK_CHANNEL,
    STORE_BUCKET,
    Stack,
)

# Every process of a stack has this variable, with the state folder as its value, and so do its descendants:
# `down` finds by it the processes that outlived their parents.
STACK_MARK = "RETRAIN_STACK"

# Not inherited: each would lead a server to another configuration, account or interpreter.
_FOREIGN_PREFIXES = ("AIRFLOW", "AWS_", "MLFLOW_", "GIT_", "RETRAIN_", "PYTHON", "MAKE", "DVC_", "SUPERVISOR_")
_FOREIGN_NAMES = frozenset({"MFLAGS", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_PROJECT", "TMPDIR"})


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a program of the stack inherits: those of the machine, such as PATH, HOME, locale and proxies.

    Variables that configure other servers, accounts or interpreters are dropped, and the loopback is exempted from
    proxies. `PYTHONDONTWRITEBYTECODE` is dropped with the other PYTHON variables: without byte code each Airflow
    component needs 5 CPU seconds more to start.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(_FOREIGN_PREFIXES) and name not in _FOREIGN_NAMES
    }
    direct = [host for host in kept.get("NO_PROXY", kept.get("no_proxy", "")).split(",") if host]
    direct += [host for host in (LOOPBACK, "localhost") if host not in direct]
    kept |= {"NO_PROXY": ",".join(direct), "no_proxy": ",".join(direct)}
    return kept


def common_variables(stack: Stack) -> dict[str, str]:
    """The variables of every process of the stack."""
    return {
        STACK_MARK: str(stack.state),
        # setproctitle writes over the memory that /proc shows as a process's environment, and with it over the mark.
        "SPT_NOENV": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def s3_variables(stack: Stack) -> dict[str, str]:
    """The variables with which any AWS client reaches the S3 server."""
    return {
        "AWS_ACCESS_KEY_ID": stack.secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": stack.secrets.s3_secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": stack.s3_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def s3_server_variables(stack: Stack) -> dict[str, str]:
    """The configuration of the S3 server: it listens on the loopback, persists its data and checks signatures."""
    return {
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(stack.ports.s3),
        "SERVICES": "s3,iam,sts,sqs",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": stack.secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": stack.secrets.s3_secret_key,
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": str(stack.state / "s3" / "state"),
        "S3_DATA_DIR": str(stack.state / "s3" / "objects"),
        "TMPDIR": str(stack.run_dir),
        "LOG_LEVEL": "WARNING",
        # By default the server opens more ports, and removes its own leftover containers from the Docker engine.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{stack.run_dir}/no-docker.sock",
    }


def mlflow_variables(stack: Stack) -> dict[str, str]:
    """The configuration of the MLflow server, the only process that has access to the artifact bucket."""
    return s3_variables(stack) | {
        # The extra runner of background tasks takes 0.5 GB and does nothing here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_S3_ENDPOINT_URL": stack.s3_url,
    }


def slack_server_variables(stack: Stack) -> dict[str, str]:
    """The configuration of the Slack stand-in."""
    return {
        "SLACK_STANDIN_STATE": str(stack.state / "slack"),
        "SLACK_STANDIN_PORT": str(stack.ports.slack),
        "SLACK_STANDIN_TOKEN": stack.secrets.slack_token,
        "SLACK_STANDIN_CHANNELS": SLACK_CHANNEL.removeprefix("#"),
    }


def retrain_variables(stack: Stack) -> dict[str, str]:
    """The RETRAIN_* variables of the DAGs and the tools: folders, buckets, the channel, and the addresses in messages."""
    return {
        "RETRAIN_HOME": str(stack.state / "retrain"),
        "RETRAIN_UV": str(stack.root / ".local" / "tools" / "bin" / "uv"),
        "RETRAIN_REPOSITORY": str(stack.origin),
        "RETRAIN_RAW_BUCKET": RAW_BUCKET,
        "RETRAIN_STORE_BUCKET": STORE_BUCKET,
        "RETRAIN_LEDGER_BUCKET": LEDGER_BUCKET,
        "RETRAIN_SLACK_CHANNEL": SLACK_CHANNEL,
        "RETRAIN_AIRFLOW_URL": stack.airflow_url,
        "RETRAIN_MLFLOW_URL": stack.mlflow_url,
        "RETRAIN_SLACK_URL": stack.slack_url,
        "RETRAIN_RUNBOOKS_URL": f"{stack.alerts_url}/runbooks",
    } | ({"RETRAIN_PIPELINES": str(stack.pipelines)} if stack.pipelines else {})


def alerts_variables(stack: Stack) -> dict[str, str]:
    """The variables of the watch. It is the only client that has Slack's token."""
    return (
        retrain_variables(stack)
        | s3_variables(stack)
        | {
            "PYTHONPATH": str(stack.root / "plugins"),
            "RETRAIN_ALERTS_PORT": str(stack.ports.alerts),
            "RETRAIN_SLACK_TOKEN": stack.secrets.slack_token,
            "RETRAIN_SLACK_API_URL": f"{stack.slack_url}/api/",
        }
    )
