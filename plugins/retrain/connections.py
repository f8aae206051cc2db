"""Airflow connections, turned into what the clients and the child processes need. Secrets go no further than this."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseHook
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# DVC makes five rounds of what an AWS client tries, which is five times by default: over a minute for an object that the bucket
# keeps refusing, an hour for a day's objects. Three times, as AWS's standard mode has it, outlast what is short; the task's own
# retries are for the rest, and send only what is missing.
_PATIENCE = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "3"}
_AWS = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 5})


@dataclass(frozen=True)
class Aws:
    """One AWS connection."""

    conn_id: str

    @property
    def hook(self) -> S3Hook:
        return S3Hook(aws_conn_id=self.conn_id, config=_AWS)

    def client(self) -> S3Client:
        client: S3Client = self.hook.get_conn()
        return client

    @property
    def endpoint(self) -> str | None:
        """Only for an S3 that is not AWS's."""
        url: str | None = self.hook.conn_config.get_service_endpoint_url("s3")
        return url

    def environment(self) -> dict[str, str]:
        """Credentials, region, endpoint and patience for a child process, in the names that every AWS client reads.

        Where the worker's own environment says how patient to be, that holds.
        """
        hook = self.hook
        variables = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
        credentials = hook.get_session().get_credentials()
        if credentials is not None:
            frozen = credentials.get_frozen_credentials()
            variables["AWS_ACCESS_KEY_ID"] = frozen.access_key
            variables["AWS_SECRET_ACCESS_KEY"] = frozen.secret_key
            if frozen.token:
                variables["AWS_SESSION_TOKEN"] = frozen.token
        if hook.conn_region_name:
            variables["AWS_DEFAULT_REGION"] = hook.conn_region_name
        if self.endpoint:
            variables["AWS_ENDPOINT_URL"] = self.endpoint
        return variables


def connect_mlflow(conn_id: str) -> str:
    """The tracking URI. The password, if any, goes to MLflow's own environment variables, never into the address."""
    connection = BaseHook.get_connection(conn_id)
    if connection.login:
        os.environ["MLFLOW_TRACKING_USERNAME"] = connection.login
    if connection.password:
        os.environ["MLFLOW_TRACKING_PASSWORD"] = connection.password
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'http'}://{connection.host}{port}"
