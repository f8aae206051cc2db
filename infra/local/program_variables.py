"""What the local stack is: its folders, ports and secrets, and the environment of each of its processes.

Everything here is a pure function of (root, state folder, ports, secrets, inherited environment), except
`load_stack` and the readers and writers of the two files that it keeps in the state folder.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
RAW_BUCKET = "retrain-raw"
STORE_BUCKET = "retrain-store"
LEDGER_BUCKET = "retrain-ledger"
MLFLOW_BUCKET = "retrain-mlflow"
SLACK_CHANNEL = "#retrain-alerts"

# Every process of a stack carries this variable with the state folder as its value, and so do its descendants:
# that is how `down` finds what outlived its parent.
STACK_MARK = "RETRAIN_STACK"

_HIGHEST_PORT = 65535

# Dropped from the inherited environment: each would send a server to another configuration, account or interpreter.
_FOREIGN_PREFIXES = ("AIRFLOW", "AWS_", "MLFLOW_", "GIT_", "RETRAIN_", "PYTHON", "MAKE", "DVC_", "SUPERVISOR_")
_FOREIGN_NAMES = frozenset({"MFLAGS", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_PROJECT", "TMPDIR"})


class SettingsError(Exception):
    """A variable or a file of the state folder holds something that the stack cannot work with."""


@dataclass(frozen=True)
class Ports:
    """The TCP ports of the servers that listen, all on the loopback interface."""

    airflow: int = 8080
    mlflow: int = 5000
    s3: int = 9000
    slack: int = 8090
    execution: int = 8081
    alerts: int = 8091


@dataclass(frozen=True, repr=False)
class Secrets:
    """What the processes prove themselves to each other with. Generated once per state folder, never printed."""

    s3_access_key: str
    s3_secret_key: str
    jwt_secret: str
    api_secret_key: str
    fernet_key: str
    slack_token: str

    @classmethod
    def generate(cls) -> Secrets:
        """Make new random secrets."""
        return cls(
            s3_access_key=f"retrain{secrets.token_hex(8)}",
            s3_secret_key=secrets.token_hex(24),
            jwt_secret=secrets.token_hex(32),
            api_secret_key=secrets.token_hex(32),
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            slack_token=f"xoxb-local-{secrets.token_hex(16)}",
        )


@dataclass(frozen=True)
class Stack:
    """One local stack: the checkout that it runs, where it keeps its state, and what it listens on."""

    root: Path
    state: Path
    ports: Ports
    secrets: Secrets
    pipelines: Path | None = None

    @property
    def run_dir(self) -> Path:
        """Pid files, generated configuration, lock: what means nothing once the stack is down."""
        return self.state / "run"

    @property
    def log_dir(self) -> Path:
        return self.state / "logs"

    @property
    def airflow_home(self) -> Path:
        return self.state / "airflow"

    @property
    def airflow_database(self) -> Path:
        return self.airflow_home / "airflow.db"

    @property
    def origin(self) -> Path:
        """The bare Git repository that plays the part of the team's Git server."""
        return self.state / "origin.git"

    @property
    def env_file(self) -> Path:
        return self.state / "stack.env"

    @property
    def airflow_bin(self) -> Path:
        return self.root / ".venv" / "bin" / "airflow"

    @property
    def airflow_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.airflow}"

    @property
    def execution_url(self) -> str:
        """Where Airflow's tasks report to."""
        return f"http://{LOOPBACK}:{self.ports.execution}"

    @property
    def mlflow_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.mlflow}"

    @property
    def s3_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.s3}"

    @property
    def slack_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.slack}"

    @property
    def alerts_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.alerts}"


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Keep what the machine needs (PATH, HOME, locale, proxies, certificates, package index) and drop the rest.

    The loopback is exempted from proxies. `PYTHONDONTWRITEBYTECODE` goes with the other PYTHON variables: without
    byte code each Airflow component needs 5 CPU seconds more to start.
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
    """Give the variables that every process of the stack gets."""
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
    """Give the variables from which any AWS client finds the S3 server and its credentials."""
    return {
        "AWS_ACCESS_KEY_ID": stack.secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": stack.secrets.s3_secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": stack.s3_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def s3_server_variables(stack: Stack) -> dict[str, str]:
    """Give the S3 server's own configuration: loopback, durable, S3 only, signatures checked."""
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
        # On by default in the server: listeners and a container sweep that have no place here.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{stack.run_dir}/no-docker.sock",
    }


def mlflow_variables(stack: Stack) -> dict[str, str]:
    """Give the MLflow server's own configuration; it alone holds the credentials of the artifact bucket."""
    return s3_variables(stack) | {
        # The extra runner of background tasks takes 0.5 GB and does nothing here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_S3_ENDPOINT_URL": stack.s3_url,
    }


def slack_server_variables(stack: Stack) -> dict[str, str]:
    """Give the Slack stand-in's own configuration."""
    return {
        "SLACK_STANDIN_STATE": str(stack.state / "slack"),
        "SLACK_STANDIN_PORT": str(stack.ports.slack),
        "SLACK_STANDIN_TOKEN": stack.secrets.slack_token,
        "SLACK_STANDIN_CHANNELS": SLACK_CHANNEL.removeprefix("#"),
    }


def airflow_variables(stack: Stack) -> dict[str, str]:
    """Give the environment of Airflow's components: the single place where this deployment is configured."""
    return _airflow_settings(stack) | _airflow_connections(stack) | retrain_variables(stack)


def retrain_variables(stack: Stack) -> dict[str, str]:
    """Give what the DAGs and the tools read: folders, buckets, channel, addresses that a person opens."""
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
    """Give the environment of the watch: what it reads, and Slack's token, which no other process has."""
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


def stack_file_variables(stack: Stack) -> dict[str, str]:
    """Give the content of `stack.env`: what a tool or a test needs to act on the running stack.

    The mark is not in it: whoever reads the file is a client of the stack, and `down` must not end clients.
    """
    ports = {f"RETRAIN_{name.upper()}_PORT": str(port) for name, port in asdict(stack.ports).items()}
    watch = {name: value for name, value in alerts_variables(stack).items() if name.startswith("RETRAIN_")}
    return {"RETRAIN_STATE": str(stack.state)} | ports | airflow_variables(stack) | s3_variables(stack) | watch


def _airflow_settings(stack: Stack) -> dict[str, str]:
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": stack.root / "dags",
            "plugins_folder": stack.root / "plugins",
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 4,
            "fernet_key": stack.secrets.fernet_key,
            "execution_api_server_url": f"{stack.execution_url}/execution/",
            # Whoever reaches the loopback is an admin; a deployment has an auth manager of its own.
            "simple_auth_manager_all_admins": True,
            "test_connection": "Disabled",
            "hide_sensitive_var_conn_fields": True,
            "min_serialized_dag_update_interval": 5,
            # The default of 30 s is short for the first, uncompiled import on a busy machine.
            "dagbag_import_timeout": 90,
        },
        # A worker that was killed is missed after this many seconds; the default is five minutes.
        "scheduler": {"task_instance_heartbeat_timeout": 90},
        "database": {
            # SQLite has one writer at a time: wait for one's turn rather than fail after 5 s.
            "sql_alchemy_conn": f"sqlite:///{stack.airflow_database}?timeout=30",
        },
        "logging": {"base_log_folder": stack.airflow_home / "logs", "uvicorn_logging_level": "WARNING"},
        "api": {
            "host": LOOPBACK,
            "port": stack.ports.airflow,
            "base_url": stack.airflow_url,
            "workers": 1,
            "secret_key": stack.secrets.api_secret_key,
            "expose_config": False,
        },
        "api_auth": {"jwt_secret": stack.secrets.jwt_secret},
        # A cold api-server misses the default 5 s.
        "workers": {"execution_api_timeout": 30, "execution_api_retries": 8},
        "dag_processor": {
            "refresh_interval": 10,
            "min_file_process_interval": 10,
            "parsing_processes": 1,
            "dag_file_processor_timeout": 120,
            "print_stats_interval": 0,
            "dag_bundle_storage_path": stack.airflow_home / "bundles",
        },
    }
    return {"AIRFLOW_HOME": str(stack.airflow_home)} | {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, options in sections.items()
        for name, value in options.items()
    }


def _airflow_connections(stack: Stack) -> dict[str, str]:
    connections: dict[str, dict[str, object]] = {
        "aws_default": {
            "conn_type": "aws",
            "login": stack.secrets.s3_access_key,
            "password": stack.secrets.s3_secret_key,
            "extra": {"endpoint_url": stack.s3_url, "region_name": REGION},
        },
        "mlflow_default": {
            "conn_type": "http",
            "schema": "http",
            "host": LOOPBACK,
            "port": stack.ports.mlflow,
        },
    }
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection, separators=(",", ":"))
        for name, connection in connections.items()
    }


def write_private(path: Path, text: str) -> None:
    """Replace `path` with `text` in one step, readable by its owner alone from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(path)


def write_stack_file(stack: Stack) -> None:
    """Write `stack.env`: one `KEY=value` a line, no quotes, mode 0600."""
    lines = [f"{name}={value}" for name, value in sorted(stack_file_variables(stack).items())]
    write_private(stack.env_file, "\n".join(lines) + "\n")


def read_stack_file(path: Path) -> dict[str, str]:
    """Read `stack.env`. Raises SettingsError when there is none: no stack runs on this state folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist: no stack is up on this state folder. Run `make up`.") from error
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def load_secrets(path: Path) -> Secrets:
    """Read the secrets of a state folder, or generate and keep them there."""
    if not path.exists():
        generated = Secrets.generate()
        write_private(path, json.dumps(asdict(generated), indent=1) + "\n")
        return generated
    try:
        return Secrets(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        names = ", ".join(field.name for field in fields(Secrets))
        raise SettingsError(
            f"{path} should be a JSON object of exactly {names}. Run `make down`, delete the file, and run `make up`."
        ) from error


def load_stack(root: Path, environ: Mapping[str, str]) -> Stack:
    """Describe the stack of a checkout, generating its secrets on first use.

    The state folder is RETRAIN_STATE or `<root>/.local`. A port comes from its variable (RETRAIN_AIRFLOW_PORT,
    RETRAIN_MLFLOW_PORT, RETRAIN_S3_PORT, RETRAIN_SLACK_PORT, RETRAIN_EXECUTION_PORT, RETRAIN_ALERTS_PORT), else from the
    stack that is up, else is the default.
    RETRAIN_PIPELINES names a folder of pipeline files other than `dags/pipelines`.
    """
    state = Path(environ.get("RETRAIN_STATE") or root / ".local").expanduser().absolute()
    env_file = state / "stack.env"
    in_use = read_stack_file(env_file) if env_file.exists() else {}
    chosen: dict[str, int] = {}
    for field in fields(Ports):
        variable = f"RETRAIN_{field.name.upper()}_PORT"
        value = environ.get(variable) or in_use.get(variable) or str(field.default)
        if not value.isdecimal() or not 0 < int(value) <= _HIGHEST_PORT:
            raise SettingsError(f"{variable}={value!r} is no port. Give a number from 1 to {_HIGHEST_PORT}.")
        chosen[field.name] = int(value)
    if len(set(chosen.values())) < len(chosen):
        raise SettingsError(f"Two servers cannot share a port: {chosen}. Set other RETRAIN_…_PORT variables.")
    pipelines = environ.get("RETRAIN_PIPELINES") or in_use.get("RETRAIN_PIPELINES")
    return Stack(
        root.absolute(),
        state,
        Ports(**chosen),
        load_secrets(state / "secrets.json"),
        Path(pipelines).expanduser().absolute() if pipelines else None,
    )
