"""Turns Airflow's connections into clients, and into variables for child processes. Secrets are handled only here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from botocore.config import Config

from retrain.store import s3
from retrain.work import credential_server
from retrain.work.remote_access import Option

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# DVC calls an AWS client five times for an object, and a client tries five times by default: over a minute for each object that
# the bucket keeps refusing, an hour for a day's objects. Three tries, as in AWS's standard mode, outlast a short failure. For a
# longer one there are the task's own retries, which send only what is missing.
_PATIENCE = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "3"}
_AWS = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 5},
    max_pool_connections=s3.AT_ONCE,
)
_REMOTE_OPTIONS = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_PROFILE": "profile",
    "AWS_ENDPOINT_URL": "endpointurl",
}
_SHORT = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})


@dataclass(frozen=True)
class Aws:
    """One AWS connection of Airflow's. It is read once, because that is a request to Airflow's API; a role's credentials are renewed.

    Raises:
        StoreError: every method, if the connection has a role and STS refuses it or does not answer.
    """

    conn_id: str

    @cached_property
    def hook(self) -> S3Hook:
        """Airflow's hook, which keeps the connection."""
        return S3Hook(aws_conn_id=self.conn_id, config=_AWS)

    def client(self) -> S3Client:
        """A client for S3, which renews a role's credentials itself."""
        with self._taking_its_role():
            client: S3Client = self.hook.get_conn()
        return client

    def asking(self, service: str) -> Any:
        """A client for any service with this connection, which gives up after some seconds: for checks."""
        with self._taking_its_role():
            return AwsBaseHook(aws_conn_id=self.conn_id, client_type=service, config=_SHORT).get_conn()

    @property
    def endpoint(self) -> str | None:
        """The address of an S3 that is not AWS's; else None."""
        url: str | None = self.hook.conn_config.get_service_endpoint_url("s3")
        return url

    def environment(self) -> dict[str, str]:
        """Keys, region, endpoint and retries for a child process, in the variables that every AWS client reads.

        If the connection has no keys, there are none here: the child finds its credentials as this process does (a profile, the
        role of the machine or container) and renews them itself. The keys of a connection with a role expire, so a child that may
        outlive them needs `child_environment`. Variables for retries that the worker has itself are left alone.
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

    def remote_options(self) -> dict[str, Option]:
        """Keys, profile, region and endpoint as options of a DVC remote. Those of a role expire: they are for a short use."""
        variables = self.environment()
        found: dict[str, Option] = {
            option: variables[name] for name, option in _REMOTE_OPTIONS.items() if variables.get(name)
        }
        mask_secret(found.get("secret_access_key"))
        mask_secret(found.get("session_token"))
        config = self.hook.conn_config
        # Not the machine's default region: DVC finds out where a bucket is.
        more = {"region": config.region_name, "ssl_verify": config.verify}
        return {**found, **{name: value for name, value in more.items() if value is not None}}

    @contextmanager
    def child_environment(self) -> Iterator[dict[str, str]]:
        """`environment` for a child process that runs while the context is open. A role's credentials are renewed.

        The child asks this process for them: see `credential_server.served`. Pass the variables through `process.environment`, which
        removes those with an empty value: the child must not have them.
        """
        config = self.hook.conn_config
        if config.role_arn:
            with self._taking_its_role():
                issuer = credential_server.Issuer(self.hook.get_session().get_credentials(), mask_secret)
            with credential_server.served(issuer, mask_secret) as variables:
                yield {**self._settings(), **variables}
            return
        variables = self.environment()
        if config.aws_access_key_id:
            variables.setdefault("AWS_SESSION_TOKEN", "")  # a token of the worker belongs to other keys
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
        """Names the role in the error of a call that asks STS first."""
        return s3.naming("AssumeRole", str(self.hook.conn_config.role_arn), "STS")


def is_defined(conn_id: str) -> bool:
    """True if Airflow's secrets backend, its database or a variable has the connection."""
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return False
    return True


def connect_mlflow(conn_id: str) -> str:
    """The tracking URI of an MLflow connection. User and password go into MLflow's own environment variables, never into the URI."""
    connection = BaseHook.get_connection(conn_id)
    if connection.login:
        os.environ["MLFLOW_TRACKING_USERNAME"] = connection.login
    if connection.password:
        os.environ["MLFLOW_TRACKING_PASSWORD"] = connection.password
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'http'}://{connection.host}{port}"
