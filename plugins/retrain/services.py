"""The services of one pipeline, for tasks and commands: its file, its credentials, its pin, and the clients made from these.

Credentials and pin come through two interfaces, so that no module that uses them knows where they are kept.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from retrain.deployment.pipeline_file import Deployment
from retrain.inputs.tracked_data import TrackedSources
from retrain.run.release import Pin
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote
from retrain.tracking.server import MlflowServer
from retrain.work import workspace
from retrain.work.origin import Origin
from retrain.work.service_credentials import Credentials

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class PinReader(Protocol):
    """Read access to the live releases of pipelines."""

    def pin(self, pipeline: str) -> Pin | None:
        """The pin of a pipeline; None if none is set.

        Raises:
            NoPinError: the pin is set and cannot be read.
        """


@dataclass(frozen=True)
class Services:
    """The services of one pipeline. Each client is made at its first use."""

    deployment: Deployment
    credentials: Credentials
    pins: PinReader

    @property
    def pipeline(self) -> str:
        return self.deployment.pipeline

    def origin(self) -> AbstractContextManager[Origin]:
        """The Git origin, with its access while the context is open."""
        return self.credentials.origin()

    @cached_property
    def s3(self) -> S3Client:
        return self.credentials.s3()

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.s3, self.deployment.ledger)

    @cached_property
    def remote(self) -> Remote:
        return Remote(self.s3, self.deployment.store)

    @property
    def tracked(self) -> TrackedSources:
        """Where the data of .dvc files and frozen stages comes from."""
        return TrackedSources(self.remote, self.credentials.remotes)

    @cached_property
    def tracking(self) -> MlflowServer:
        """The MLflow server. A lock file on the shared volume makes tasks and commands register runs one at a time."""
        return MlflowServer(self.credentials.mlflow(), workspace.home() / "locks" / f"{self.pipeline}.tracking")
