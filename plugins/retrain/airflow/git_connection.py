"""The access to a private Git origin, from the Airflow connection that the pipeline's file names."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from retrain.airflow import airflow_database
from retrain.deployment.git_address import GitAddress, parsed, without_user
from retrain.deployment.sections import Repository
from retrain.work import origin_access
from retrain.work.errors import OriginConnectionError
from retrain.work.origin import Origin

if TYPE_CHECKING:
    from airflow.sdk import Connection

_KINDS = ("ssh", "sftp", "http", "https", "git", "github", "gitlab", "generic")
# Servers with tokens take any user name, and this one says what it is.
_USER_OF_A_TOKEN = "x-access-token"  # noqa: S105 - the name of a user


@contextmanager
def opened(repository: Repository) -> Iterator[Origin]:
    """The origin of a pipeline, with its access while the context is open.

    Raises:
        OriginConnectionError: the connection does not exist, or does not fit the address.
    """
    if repository.connection is None:
        yield Origin(repository.url)
        return
    name, address = repository.connection, parsed(repository.url)
    if address is None or not (address.is_http or address.scheme == "ssh"):
        raise OriginConnectionError(
            f"{repository.url} is neither an http, https nor SSH address, so the connection {name} is of no use. Correct "
            "repository.url, or remove repository.connection."
        )
    found = _connection(name, address)
    with _access(found, name, address) as access:
        yield Origin(without_user(repository.url), name, access)


def _connection(name: str, address: GitAddress) -> Connection:
    try:
        found = BaseHook.get_connection(name)
    except AirflowNotFoundException as error:
        raise OriginConnectionError(
            f"Airflow has no connection {name}, which repository.connection names. Define it, or correct the name."
            f"{airflow_database.not_asked()}"
        ) from error
    kind = (found.conn_type or "generic").lower()
    if kind not in _KINDS:
        raise OriginConnectionError(
            f"The connection {name} is of the type {kind}, which is none of Git's. Make one of the type ssh, http or git for "
            "repository.connection."
        )
    host = _host(found.host or "")
    if host and host != address.host:
        raise OriginConnectionError(
            f"The connection {name} is for {host}, and repository.url is on {address.host}, which must not get its secret. Correct one "
            "of them."
        )
    return found


def _host(text: str) -> str:
    """The host that a connection names, as a host or as an address."""
    found = parsed(text if "://" in text or "@" in text else f"https://{text}") if text else None
    return found.host if found else ""


@contextmanager
def _access(found: Connection, name: str, address: GitAddress) -> Iterator[dict[str, str]]:
    if address.is_http:
        token = (found.password or "").strip()
        if not token:
            raise OriginConnectionError(
                f"The connection {name} has no password, and {address.base} is read with a user and a token. Write the token as its "
                "password, or make repository.url an SSH address."
            )
        user = found.login or address.user or _USER_OF_A_TOKEN
        for form in (token, quote(token, safe=""), b64encode(f"{user}:{token}".encode()).decode()):
            mask_secret(form)
        with origin_access.by_token(address, user, token) as access:
            yield access
        return
    extra = found.extra_dejson
    key = _key(extra.get("private_key"), extra.get("key_file"), name)
    for part in (key, *key.splitlines()):  # a log has its lines one by one
        mask_secret(part)
    hosts = [line for line in _lines(extra.get("host_key")) if not line.startswith("#")]
    with origin_access.by_key(address, key, hosts, found.login or "", name) as access:
        yield access


def _key(text: object, file: object, name: str) -> str:
    """The text of the private key. A connection that was written as one line has its line breaks as two characters."""
    if isinstance(text, str) and text.strip():
        return _unfolded(text)
    if not isinstance(file, str) or not file:
        raise OriginConnectionError(
            f"The connection {name} has neither private_key nor key_file in its extra, and repository.url is an SSH address. Write the "
            "key into private_key, or make repository.url an https address."
        )
    try:
        return _unfolded(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise OriginConnectionError(
            f"key_file of the connection {name} is {file}, which cannot be read here ({type(error).__name__}). Put the key there on "
            "each worker, or write it into private_key."
        ) from error


def _unfolded(text: str) -> str:
    return "\n".join(line.strip() for line in text.replace("\\n", "\n").splitlines())


def _lines(text: object) -> list[str]:
    return [line for line in _unfolded(str(text or "")).splitlines() if line]
