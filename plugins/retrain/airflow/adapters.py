"""Adapters between Airflow and `retrain.services`: credentials from Airflow's connections, the pin from a Variable."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.sdk import Variable

from retrain.airflow import git_connection, remote_options
from retrain.airflow.connections import Aws, connect_mlflow
from retrain.airflow.stage_secrets import secret_values
from retrain.deployment.pipeline_file import Deployment
from retrain.run.release import Pin, variable
from retrain.services import Services
from retrain.work.origin import Origin
from retrain.work.remote_access import RemoteAccess

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class AirflowCredentials:
    """The credentials in the Airflow connections that a pipeline's file names."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    @cached_property
    def _aws(self) -> Aws:
        return Aws(self._deployment.aws_conn_id)

    def s3(self) -> S3Client:
        return self._aws.client()

    def endpoint(self) -> str | None:
        return self._aws.endpoint

    def child_environment(self) -> AbstractContextManager[dict[str, str]]:
        return self._aws.child_environment()

    def origin(self) -> AbstractContextManager[Origin]:
        return git_connection.opened(self._deployment.repository)

    def remotes(self) -> RemoteAccess:
        return remote_options.access(self._deployment.remotes, self._aws)

    def stage_secrets(self) -> dict[str, str]:
        return secret_values(self._deployment.secrets)

    def mlflow(self) -> str:
        return connect_mlflow(self._deployment.mlflow_conn_id)


class VariablePins:
    """The pin of each pipeline, in its Airflow Variable (`retrain.run.release.variable`)."""

    def pin(self, pipeline: str) -> Pin | None:
        """The pin; None if the Variable is not set.

        Raises:
            NoPinError: the Variable cannot be read as a pin.
        """
        name = variable(pipeline)
        text = Variable.get(name, default=None)
        return None if text is None else Pin.from_json(text, name)


def services(deployment: Deployment) -> Services:
    """The services of a pipeline, for code that runs inside Airflow."""
    return Services(deployment, AirflowCredentials(deployment), VariablePins())
