"""Turns Airflow's connections into options of DVC remotes, by the connection's type. Every secret among them is masked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from retrain.airflow import airflow_database
from retrain.airflow.connections import Aws
from retrain.deployment.sections import DvcRemote
from retrain.inputs.errors import RemoteConnectionError, RemoteOptionError
from retrain.work.remote_access import Option, RemoteAccess, RemoteConnection

_MORE = "dvc"  # the key of a connection's extra with further options
_SECRET = re.compile(r"secret|token|password|passphrase|_key$|connection_string|keyfile$", re.IGNORECASE)
# Keys of an http connection's extra that Airflow's hook takes for itself; all others are headers.
_OF_HTTP_HOOK = {
    "timeout", "allow_redirects", "proxies", "proxy", "verify", "cert", "stream", "check_response", "max_redirects", "trust_env",
    "auth_type", "auth_kwargs", "headers", _MORE,
}  # fmt: skip


def access(remotes: Mapping[str, DvcRemote], own: Aws) -> RemoteAccess:
    """The access that a pipeline's file gives to the release's remotes. `own` is the pipeline's connection to S3.

    Raises:
        RemoteConnectionError: a connection does not exist, or has an extra that is not JSON.
        RemoteOptionError: a connection is of an unknown type, or has what no DVC remote takes.
        StoreError: STS refused a role, or did not answer.
    """
    named = {name: of_connection(name, remote.connection) for name, remote in remotes.items()}
    return RemoteAccess(named, RemoteConnection(own.conn_id, "aws", own.remote_options()))


def of_connection(remote: str, conn_id: str) -> RemoteConnection:
    """The options that a connection gives the remote `remote` of a pipeline's file.

    Raises:
        RetrainError: as for `access`.
    """
    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise RemoteConnectionError(
            f"remotes.{remote} of the pipeline's file names the Airflow connection {conn_id}, which does not exist. "
            f"Create it, or correct the name.{airflow_database.not_asked()}"
        ) from error
    extra = _extra(found, remote)
    more = extra.get(_MORE, {})
    if not isinstance(more, dict):
        raise RemoteOptionError(
            f"The extra of Airflow's connection {conn_id} (remotes.{remote}) has {_MORE}, which is no mapping. "
            f'Write the options of the DVC remote there: {{"{_MORE}": {{"option": "value"}}}}.'
        )
    if wrong := [name for name, value in more.items() if not _is_option(value)]:
        raise RemoteOptionError(
            f"{wrong[0]} below {_MORE} in the extra of Airflow's connection {conn_id} (remotes.{remote}) is no text, number or switch. "
            f'Write one, or {{"content": "<text>"}} for the content of a file.'
        )
    kind, read = _TYPES.get(str(found.conn_type), (None, None))
    if kind is None or read is None:
        if not more:
            raise RemoteOptionError(
                f"Airflow's connection {conn_id} (remotes.{remote}) is of the type {found.conn_type}, which is no DVC remote's. Use "
                f"{', '.join(sorted(_TYPES))}, or write the remote's options into the key {_MORE} of its extra."
            )
        kind, options = "generic", {}
    else:
        options = read(found, extra)
    given = RemoteConnection(conn_id, kind, {name: value for name, value in options.items() if value}, more)
    for each in (given.options, given.more):
        _mask(each)
    return given


def _mask(options: Mapping[str, Option]) -> None:
    for name, value in options.items():
        text = value["content"] if isinstance(value, dict) else value
        if isinstance(text, str) and (isinstance(value, dict) or _SECRET.search(name)):
            for part in (text, *text.splitlines()):  # a log has the lines of a key one by one
                mask_secret(part)


def _is_option(value: object) -> bool:
    """True for the value of an option: see `Option`."""
    if isinstance(value, dict):
        return value.keys() == {"content"} and isinstance(value["content"], str)
    return isinstance(value, str | int | bool)


def _extra(connection: Connection, remote: str) -> dict[str, Any]:
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError as error:
        raise RemoteConnectionError(
            f"The extra of Airflow's connection {connection.conn_id} (remotes.{remote}) is not JSON. Correct it."
        ) from error
    return extra if isinstance(extra, dict) else {}


def _aws(connection: Connection, _extra: Mapping[str, Any]) -> dict[str, Any]:
    return dict(Aws(str(connection.conn_id)).remote_options())


def _http(connection: Connection, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Login and password as Basic auth, or one header. A WebDAV remote takes those of them that it knows."""
    more = extra.get("headers") or {}
    if not isinstance(more, dict):
        raise RemoteOptionError(
            f"The extra of Airflow's connection {connection.conn_id} has headers, which is no mapping. Write one header there: "
            '{"headers": {"name": "value"}}.'
        )
    headers = {**{k: v for k, v in extra.items() if k not in _OF_HTTP_HOOK}, **more}
    if len(headers) > 1 or (headers and connection.login):
        raise RemoteOptionError(
            f"Airflow's connection {connection.conn_id} has the headers {', '.join(headers)}{' and a login' if connection.login else ''}, and "
            "a DVC remote sends a login or one header. Leave one of them."
        )
    own: dict[str, Any] = {"ssl_verify": extra.get("verify")}
    for name, value in headers.items():
        return {**own, "auth": "custom", "custom_auth_header": name, "password": str(value)}
    if connection.login:
        return {**own, "auth": "basic", "user": connection.login, "password": connection.password}
    return own


def _ssh(connection: Connection, extra: Mapping[str, Any]) -> dict[str, Any]:
    key = extra.get("private_key")
    return {
        "user": connection.login,
        "password": connection.password,
        "port": connection.port,
        "keyfile": {"content": key} if key else extra.get("key_file"),
        "passphrase": extra.get("private_key_passphrase"),
    }


def _gcp(_connection: Connection, extra: Mapping[str, Any]) -> dict[str, Any]:
    keys = {name.removeprefix("extra__google_cloud_platform__"): value for name, value in extra.items()}
    content = keys.get("keyfile_dict")
    text = content if isinstance(content, str) or not content else json.dumps(content)
    path = {"content": text} if text else keys.get("key_path")
    project = {"projectname": keys.get("project"), "credentialpath": path}
    return {**project, "gdrive_use_service_account": bool(path), "gdrive_service_account_json_file_path": path}


def _azure(connection: Connection, extra: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: extra.get(name) for name in ("connection_string", "sas_token", "tenant_id")}
    account = re.sub(r"^https?://", "", connection.host or "").partition(".")[0]
    if extra.get("tenant_id"):
        return {**own, "account_name": account, "client_id": connection.login, "client_secret": connection.password}
    key = extra.get("shared_access_key") or connection.password
    return {**own, "account_name": connection.login or account, "account_key": key}


def _hdfs(connection: Connection, _extra: Mapping[str, Any]) -> dict[str, Any]:
    return {"user": connection.login, "password": connection.password}


def _oss(connection: Connection, _extra: Mapping[str, Any]) -> dict[str, Any]:
    return {"oss_key_id": connection.login, "oss_key_secret": connection.password, "oss_endpoint": connection.host}


_TYPES: dict[str, tuple[str, Callable[[Connection, Mapping[str, Any]], dict[str, Any]]]] = {
    "aws": ("aws", _aws),
    "http": ("http", _http),
    "https": ("http", _http),
    "ssh": ("ssh", _ssh),
    "sftp": ("ssh", _ssh),
    "google_cloud_platform": ("gcp", _gcp),
    "wasb": ("azure", _azure),
    "azure": ("azure", _azure),
    "adls": ("azure", _azure),
    "hdfs": ("hdfs", _hdfs),
    "webhdfs": ("hdfs", _hdfs),
    "oss": ("oss", _oss),
}
