"""The credentials of a pipeline's connections, behind an interface: no module that uses them knows where they are kept."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Credentials(Protocol):
    """Access to S3 and MLflow for one pipeline."""

    def s3(self) -> S3Client:
        """A client for the pipeline's buckets."""

    def endpoint(self) -> str | None:
        """The address of the S3 server; None for AWS."""

    def child_environment(self) -> AbstractContextManager[dict[str, str]]:
        """The environment variables that give a child process access to S3 while the context is open.

        A variable with an empty value must be absent in the child.
        """

    def mlflow(self) -> str:
        """MLflow's tracking URI, without its password, which goes to MLflow's own environment variables."""
