"""The servers that the watch asks, apart from Slack: S3 and Airflow. Nothing of Airflow's own configuration is needed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from retrain.alerts.watch.settings import WatchSettings
from retrain.work.files import write_whole

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from retrain.alerts.watch.observe.observer import Observer


def observer(settings: WatchSettings, now: datetime) -> Observer:
    """The observer of ledger, raw bucket and Airflow. Nothing is owed from before the watch's very first start."""
    from retrain.airflow.api import AirflowApi
    from retrain.alerts.watch.observe.observer import Observer
    from retrain.alerts.watch.observe.pins import Pins

    path = settings.folder / "since"
    if not path.exists():
        write_whole(path, now.isoformat().encode())
    since = datetime.fromisoformat(path.read_text("utf-8"))
    airflow = AirflowApi(settings.airflow_api or settings.addresses.airflow)
    return Observer([], s3_client(connect=5, read=10, tries=2), airflow, since, Pins(settings.folder / "pins"))


def s3_client(*, connect: float, read: float, tries: int) -> S3Client:
    """S3 from the AWS_… variables, or from the machine's role: Airflow's connections may be what is broken. Times in seconds."""
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": tries}
    config = Config(connect_timeout=connect, read_timeout=read, retries=retries)  # type: ignore[arg-type]
    client: S3Client = boto3.Session().client("s3", config=config)  # the default session is not for several threads
    return client
