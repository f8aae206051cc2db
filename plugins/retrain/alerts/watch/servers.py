"""Connections to S3 and Airflow. They need nothing of Airflow's own configuration, which may be what is broken."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from retrain.alerts.incident import Situation
from retrain.alerts.watch import situations
from retrain.alerts.watch.settings import WatchSettings
from retrain.deployment.pipeline_file import Deployment
from retrain.work.files import write_whole

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from retrain.alerts.watch.observe.observer import Observer


class LedgerReader:
    """Reads a pipeline's situation from its ledger. It connects to S3 when it is first called."""

    def __call__(self, deployment: Deployment, now: datetime) -> Situation:
        return situations.read(self._client, deployment, now)

    @cached_property
    def _client(self) -> S3Client:
        return _s3_client(connect=2, read=3, tries=1)


def observer(settings: WatchSettings, now: datetime) -> Observer:
    """The observer of ledger, raw bucket and Airflow. It expects nothing of the time before the watch's very first start."""
    from retrain.airflow.api import AirflowApi
    from retrain.alerts.watch.observe.inquiry import Answered
    from retrain.alerts.watch.observe.known_days import KnownDays
    from retrain.alerts.watch.observe.observer import Observer
    from retrain.alerts.watch.observe.pins import Pins

    path = settings.folder / "since"
    if not path.exists():
        write_whole(path, now.isoformat().encode())
    since = datetime.fromisoformat(path.read_text("utf-8"))
    airflow = AirflowApi(settings.airflow_api or settings.addresses.airflow)
    client = _s3_client(connect=5, read=10, tries=2)
    answered = Answered(KnownDays(settings.folder / "days"))
    return Observer([], client, airflow, since, Pins(settings.folder / "pins"), answered=answered)


def _s3_client(*, connect: float, read: float, tries: int) -> S3Client:
    """S3 with the credentials of the AWS_… variables or of the machine's role. `connect` and `read` are timeouts in seconds."""
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": tries}
    config = Config(connect_timeout=connect, read_timeout=read, retries=retries)  # type: ignore[arg-type]
    client: S3Client = boto3.Session().client("s3", config=config)  # the default session is not thread-safe
    return client
