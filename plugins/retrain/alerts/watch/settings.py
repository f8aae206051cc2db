"""The watch's settings, from the variables of its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path

from retrain.alerts.message.messages import PageAddresses
from retrain.alerts.watch.second_channel import SecondChannelAddresses
from retrain.alerts.watch.slack.app_token import AppToken
from retrain.alerts.watch.slack.client import SlackClient
from retrain.errors import ConfigurationError
from retrain.work.volume import configured_limit

ROOT = Path(__file__).resolve().parents[4]
RUNBOOKS = ROOT / "infra" / "runbooks"
PORT = 8091
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
LOOPBACK_NAMES = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Seconds:
    """The pause between two turns of each part, in seconds."""

    signals: float = 2
    slack: float = 2
    second_channel: float = 5
    observe: float = 15
    situation: float = 5
    configuration: float = 30
    check: float = 60
    digest: float = 20
    heartbeat: float = 10
    undelivered: float = 300  # not a part's: the heartbeat stops when messages cannot be delivered for so long


@dataclass(frozen=True)
class WatchSettings:
    """`folder` holds the watch's own state; `pipelines` and `silences` are the files that it follows."""

    folder: Path
    pipelines: Path
    silences: Path
    slack: SlackClient
    second: SecondChannelAddresses
    addresses: PageAddresses
    channel: str | None  # of Slack, for incidents of no pipeline or of one whose file cannot be read
    port: int
    digest_at: time  # UTC
    heartbeat_url: str | None
    host: str = "127.0.0.1"  # the interface that the page listens on
    airflow_api: str | None = None  # the address of Airflow's API, where it is not the address that people use
    allowed_hosts: tuple[str, ...] = LOOPBACK_NAMES  # host names under which the page answers
    volume: Path | None = None  # RETRAIN_HOME, to watch its space; None: the folder's
    volume_limit: int | None = None  # bytes
    seconds: Seconds = Seconds()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> WatchSettings:
        """The settings of an environment.

        Raises:
            ConfigurationError: a variable is missing or wrong; the message names it.
        """

        def path(name: str) -> Path | None:
            return Path(environment[name]) if environment.get(name) else None

        home = path("RETRAIN_HOME")
        folder = path("RETRAIN_ALERTS") or (home / "alerts" if home else None)
        if folder is None:
            raise ConfigurationError("Neither RETRAIN_ALERTS nor RETRAIN_HOME says where the alerts' folder is.")
        port = environment.get("RETRAIN_ALERTS_PORT") or str(PORT)
        if not port.isdecimal():
            raise ConfigurationError(f"RETRAIN_ALERTS_PORT={port!r} is not a port.")
        at = environment.get("RETRAIN_DIGEST_AT") or "07:00"
        try:
            digest_at = time.fromisoformat(at)
        except ValueError as error:
            raise ConfigurationError(f"RETRAIN_DIGEST_AT={at!r} is not a time of day such as 07:00 (UTC).") from error
        return cls(
            folder=folder,
            pipelines=path("RETRAIN_PIPELINES") or ROOT / "dags" / "pipelines",
            silences=path("RETRAIN_SILENCES") or ROOT / "dags" / "silences.yaml",
            slack=SlackClient(
                AppToken(environment.get("RETRAIN_SLACK_TOKEN", ""), path("RETRAIN_SLACK_TOKEN_FILE")),
                environment.get("RETRAIN_SLACK_API_URL") or None,
            ),
            second=SecondChannelAddresses(environment.get("RETRAIN_APPRISE_URLS", ""), path("RETRAIN_APPRISE_FILE")),
            addresses=PageAddresses(
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
            allowed_hosts=(*LOOPBACK_NAMES, *_hosts(environment.get("RETRAIN_ALERTS_ALLOWED_HOSTS", ""))),
            volume=home,
            volume_limit=configured_limit(environment),
        )


def _hosts(text: str) -> list[str]:
    names = text.replace(",", " ").split()
    for name in names:
        if not _HOST.fullmatch(name):
            raise ConfigurationError(
                f"RETRAIN_ALERTS_ALLOWED_HOSTS: {name!r} is not a host name. Name hosts without a port, separated by commas."
            )
    return names
