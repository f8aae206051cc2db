"""What the watch is told by its environment. Secrets stay in files, or in variables of this one process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path

from retrain.alerts.messages import Addresses
from retrain.alerts.second_channel import Addresses as SecondAddresses
from retrain.errors import ConfigurationError
from retrain.slack import Slack, Token

ROOT = Path(__file__).resolve().parents[3]
RUNBOOKS = ROOT / "infra" / "runbooks"
PORT = 8091


@dataclass(frozen=True)
class Seconds:
    """How often each part of the watch has its turn."""

    signals: float = 2
    slack: float = 2
    second_channel: float = 5
    observe: float = 15
    situation: float = 60
    configuration: float = 30
    check: float = 60
    digest: float = 20
    heartbeat: float = 10


@dataclass(frozen=True)
class Settings:
    """Where the watch's state is, what it watches, and whom it tells."""

    folder: Path
    pipelines: Path
    silences: Path
    slack: Slack
    second: SecondAddresses
    addresses: Addresses
    channel: str | None  # for what belongs to no pipeline whose file can be read
    port: int
    digest_at: time  # UTC
    heartbeat_url: str | None
    host: str = "127.0.0.1"  # the page's interface
    airflow_api: str | None = None  # Airflow's address for the watch, where it is not the one for people
    seconds: Seconds = Seconds()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """ConfigurationError names the variable and what is wrong with it."""

        def path(name: str) -> Path | None:
            return Path(environment[name]) if environment.get(name) else None

        home = path("RETRAIN_HOME")
        folder = path("RETRAIN_ALERTS") or (home / "alerts" if home else None)
        if folder is None:
            raise ConfigurationError("Neither RETRAIN_ALERTS nor RETRAIN_HOME says where the alerts' folder is.")
        port = environment.get("RETRAIN_ALERTS_PORT") or str(PORT)
        if not port.isdecimal():
            raise ConfigurationError(f"RETRAIN_ALERTS_PORT={port!r} is no port.")
        at = environment.get("RETRAIN_DIGEST_AT") or "07:00"
        try:
            digest_at = time.fromisoformat(at)
        except ValueError as error:
            raise ConfigurationError(f"RETRAIN_DIGEST_AT={at!r} is no time of the day, such as 07:00 (UTC).") from error
        return cls(
            folder=folder,
            pipelines=path("RETRAIN_PIPELINES") or ROOT / "dags" / "pipelines",
            silences=path("RETRAIN_SILENCES") or ROOT / "dags" / "silences.yaml",
            slack=Slack(
                Token(environment.get("RETRAIN_SLACK_TOKEN", ""), path("RETRAIN_SLACK_TOKEN_FILE")),
                environment.get("RETRAIN_SLACK_API_URL") or None,
            ),
            second=SecondAddresses(environment.get("RETRAIN_APPRISE_URLS", ""), path("RETRAIN_APPRISE_FILE")),
            addresses=Addresses(
                environment.get("RETRAIN_AIRFLOW_URL", "http://127.0.0.1:8080"),
                environment.get("RETRAIN_MLFLOW_URL", "http://127.0.0.1:5000"),
                environment.get("RETRAIN_RUNBOOKS_URL") or f"http://127.0.0.1:{port}/runbooks",
            ),
            channel=environment.get("RETRAIN_SLACK_CHANNEL") or None,
            port=int(port),
            digest_at=digest_at,
            heartbeat_url=environment.get("RETRAIN_HEARTBEAT_URL") or None,
            host=environment.get("RETRAIN_ALERTS_HOST") or cls.host,
            airflow_api=environment.get("RETRAIN_AIRFLOW_API_URL") or None,
        )
