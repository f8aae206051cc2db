"""What a pipeline's tasks and commands reach: its file, its credentials, its pin, and what they open with these.

Credentials and pin come through two small interfaces, so that nothing behind them knows where they are kept.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from retrain.deployment.pipeline_file import Deployment
from retrain.run.release import Pin
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote
from retrain.tracking.server import Tracking
from retrain.work import workspace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Credentials(Protocol):
    """The credentials of a pipeline's connections."""

    def s3(self) -> S3Client:
        """A client for the pipeline's buckets."""

    def endpoint(self) -> str | None:
        """The address of S3 where it is not AWS's."""

    def child_environment(self) -> AbstractContextManager[dict[str, str]]:
        """The variables that give a child process access to S3, for as long as the context lasts; an empty one is unset."""

    def mlflow(self) -> str:
        """MLflow's tracking address; its password goes to MLflow's own variables."""


class Pins(Protocol):
    """Where the live release of a pipeline is kept."""

    def pin(self, pipeline: str) -> Pin | None:
        """The pin; None when nothing is pinned yet.

        Raises:
            NoPinError: it cannot be read.
        """


@dataclass(frozen=True)
class Services:
    """One pipeline's. Each service is opened when it is first asked for."""

    deployment: Deployment
    credentials: Credentials
    pins: Pins

    @property
    def pipeline(self) -> str:
        return self.deployment.pipeline

    @cached_property
    def s3(self) -> S3Client:
        return self.credentials.s3()

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.s3, self.deployment.ledger)

    @cached_property
    def remote(self) -> Remote:
        return Remote(self.s3, self.deployment.store)

    @cached_property
    def tracking(self) -> Tracking:
        """MLflow; tasks and commands on the shared volume take turns there."""
        return Tracking(self.credentials.mlflow(), workspace.home() / "locks" / f"{self.pipeline}.tracking")
