"""Airflow connections, turned into what the clients and the child processes need. Secrets go no further than this."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret
from botocore.config import Config

from retrain.store import s3
from retrain.work import credentials

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# DVC makes five rounds of what an AWS client tries, which is five times by default: over a minute for an object that the bucket
# keeps refusing, an hour for a day's objects. Three times, as AWS's standard mode has it, outlast what is short; the task's own
# retries are for the rest, and send only what is missing.
_PATIENCE = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "3"}
_AWS = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 5})


@dataclass(frozen=True)
class Aws:
    """One AWS connection, asked for once: Airflow's API is a request away."""

    conn_id: str

    @cached_property
    def hook(self) -> S3Hook:
        return S3Hook(aws_conn_id=self.conn_id, config=_AWS)

    def client(self) -> S3Client:
        with self._taking_its_role():
            client: S3Client = self.hook.get_conn()
        return client

    @property
    def endpoint(self) -> str | None:
        """Only for an S3 that is not AWS's."""
        url: str | None = self.hook.conn_config.get_service_endpoint_url("s3")
        return url

    def environment(self) -> dict[str, str]:
        """Keys, region, endpoint and patience for a child process, in the names that every AWS client reads.

        Without keys in the connection there are none here either: the child finds its credentials as this process does (a profile,
        the machine's or the container's role) and renews them itself. The keys of a connection with a role expire: a child that
        may outlive them needs `child_environment`. Where the worker's own environment says how patient to be, that holds.
        """
        variables = self._settings()
        config = self.hook.conn_config
        if config.role_arn or config.aws_access_key_id:
            with self._taking_its_role():
                frozen = self.hook.get_credentials()
            variables["AWS_ACCESS_KEY_ID"] = frozen.access_key
            variables["AWS_SECRET_ACCESS_KEY"] = frozen.secret_key
            if frozen.token:
                variables["AWS_SESSION_TOKEN"] = frozen.token
        elif config.profile_name:
            variables["AWS_PROFILE"] = config.profile_name
        return variables

    @contextmanager
    def child_environment(self) -> Iterator[dict[str, str]]:
        """`environment` for a child process that runs while the context is open, however long: a role's credentials are renewed.

        The child asks this process for them (`credentials.served`). Pass the variables through `process.environment`: those
        with an empty value must be absent in the child.
        """
        config = self.hook.conn_config
        if config.role_arn:
            with self._taking_its_role():
                issuer = credentials.Issuer(self.hook.get_session().get_credentials(), mask_secret)
            with credentials.served(issuer, mask_secret) as variables:
                yield {**self._settings(), **variables}
            return
        variables = self.environment()
        if config.aws_access_key_id:
            variables.setdefault("AWS_SESSION_TOKEN", "")  # one that the worker has belongs to other keys
        elif config.profile_name:
            variables |= {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}
        yield variables

    def _settings(self) -> dict[str, str]:
        variables = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
        with self._taking_its_role():
            region = self.hook.conn_region_name
        if region:
            variables["AWS_DEFAULT_REGION"] = region
        if self.endpoint:
            variables["AWS_ENDPOINT_URL"] = self.endpoint
        return variables

    def _taking_its_role(self) -> AbstractContextManager[None]:
        """For what asks STS first, when the connection has a role."""
        return s3.naming("AssumeRole", str(self.hook.conn_config.role_arn), "STS")


def connect_mlflow(conn_id: str) -> str:
    """The tracking URI. The password, if any, goes to MLflow's own environment variables, never into the address."""
    connection = BaseHook.get_connection(conn_id)
    if connection.login:
        os.environ["MLFLOW_TRACKING_USERNAME"] = connection.login
    if connection.password:
        os.environ["MLFLOW_TRACKING_PASSWORD"] = connection.password
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'http'}://{connection.host}{port}"
