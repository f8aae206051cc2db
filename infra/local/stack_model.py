"""What a local stack is made of: its folders, ports, addresses, buckets and secrets."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
RAW_BUCKET = "retrain-raw"
STORE_BUCKET = "retrain-store"
LEDGER_BUCKET = "retrain-ledger"
MLFLOW_BUCKET = "retrain-mlflow"
SLACK_CHANNEL = "#retrain-alerts"


class SettingsError(Exception):
    """An environment variable or a file of the state folder holds a value that the stack cannot work with."""


@dataclass(frozen=True)
class Ports:
    """The TCP ports of the servers, all on the loopback interface. `execution` is the API that Airflow's tasks call."""

    airflow: int = 8080
    mlflow: int = 5000
    s3: int = 9000
    slack: int = 8090
    execution: int = 8081
    alerts: int = 8091


@dataclass(frozen=True, repr=False)
class Secrets:
    """The credentials between the processes of one stack. Generated once per state folder, never printed."""

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
    """One local stack.

    `root` is the checkout that it runs, `state` the folder of its data. `pipelines` is a folder of pipeline files that
    replaces `dags/pipelines`, None for that folder itself. `airflow_path` is the path below which Airflow is served, such as
    `/airflow`; empty for the root.
    """

    root: Path
    state: Path
    ports: Ports
    secrets: Secrets
    pipelines: Path | None = None
    airflow_path: str = ""

    @property
    def run_dir(self) -> Path:
        """Pid files, generated configuration and the lock: files without a meaning once the stack is down."""
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
    def housekeeping(self) -> Path:
        """The results of the housekeeping, below RETRAIN_HOME."""
        return self.state / "retrain" / "housekeeping"

    @property
    def origin(self) -> Path:
        """The bare Git repository that stands in for the team's Git server."""
        return self.state / "origin.git"

    @property
    def env_file(self) -> Path:
        """`stack.env`: the variables with which tools and tests reach the running stack."""
        return self.state / "stack.env"

    @property
    def airflow_bin(self) -> Path:
        return self.root / ".venv" / "bin" / "airflow"

    @property
    def airflow_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.airflow}{self.airflow_path}"

    @property
    def execution_url(self) -> str:
        """The API to which Airflow's tasks report. Airflow serves it below its own path too, and nowhere else."""
        return f"http://{LOOPBACK}:{self.ports.execution}{self.airflow_path}"

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
