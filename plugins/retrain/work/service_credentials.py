"""The credentials of a pipeline's connections, behind an interface: no module that uses them knows where they are kept."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from retrain.work.origin import Origin
from retrain.work.remote_access import RemoteAccess

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Credentials(Protocol):
    """Access to S3, to the release's own DVC remotes, to MLflow and the Git origin for one pipeline, and the secrets of its stages."""

    def s3(self) -> S3Client:
        """A client for the pipeline's buckets."""

    def endpoint(self) -> str | None:
        """The address of the S3 server; None for AWS."""

    def child_environment(self) -> AbstractContextManager[dict[str, str]]:
        """The environment variables that give a child process access to S3 while the context is open.

        A variable with an empty value must be absent in the child.
        """

    def origin(self) -> AbstractContextManager[Origin]:
        """The Git origin of the pipeline, with its access while the context is open.

        Raises:
            OriginConnectionError: its connection does not exist, or does not fit its address.
        """

    def remotes(self) -> RemoteAccess:
        """Access to the release's own DVC remotes."""

    def stage_secrets(self) -> dict[str, str]:
        """The values of `secrets` in the pipeline's file, by the variable of the stages. From then on logs do not show them.

        Raises:
            StageSecretError: one does not exist, or cannot be masked; the message names all of them.
        """

    def mlflow(self) -> str:
        """MLflow's tracking URI, without its password, which goes to MLflow's own environment variables."""
