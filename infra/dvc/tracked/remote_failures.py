"""The kinds of failures of a remote, and their texts without secrets."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator
from typing import Any

_LONGEST = 300  # characters of a detail
_STATUS = 3  # digits of a status of HTTP
_SHORTEST = 4  # characters of a secret: a shorter one would be found everywhere
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET = re.compile(r"secret|token|password|passphrase|key$|content|connection_string", re.IGNORECASE)
_DENIED = {
    "401", "403", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "AllAccessDisabled", "InvalidSecurity", "TokenRefreshRequired", "UnrecognizedClientException",
}  # fmt: skip
# By the names of classes, so that packages of other extras need not be there.
_BY_NAME = {
    "scheme": {"RemoteMissingDepsError", "ImportError"},
    # Before "denied", because IncompleteReadError is an EOFError too. That alone comes from a question for a password.
    "damaged": {"ClientPayloadError", "IncompleteRead", "IncompleteReadError", "ResponseStreamingError", "ContentLengthError"},
    "denied": {
        "AuthError", "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "PermissionDenied", "GoogleAuthError",
        "ClientAuthenticationError", "EOFError", "KeyImportError", "HostKeyNotVerifiable", "PermissionError",
    },
    "revision_gone": {"RevError", "UnknownRevisionError"},
    "unreachable": {
        "ClientConnectorError", "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError",
        "HTTPClientError", "ServerDisconnectedError", "ServerTimeoutError", "ServiceRequestError", "ConnectionLost", "CloneError",
        "ConnectionError", "TimeoutError", "gaierror", "ClientConnectionError", "TransportError", "HangupException",
    },
    "absent": {"FileNotFoundError", "NoSuchKey", "ResourceNotFoundError", "FileMissingError", "PathMissingError", "OutputNotFoundError"},
}  # fmt: skip
secrets: set[str] = set()


class Refused(Exception):  # noqa: N818 - the document's own word
    """The data of one output cannot be had."""

    def __init__(self, why: str, detail: str = "", **where: str | None) -> None:
        super().__init__(detail)
        self.document = {"why": why, "detail": detail, **where}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def reason(error: BaseException) -> str:
    """The kind of a failure, from the error and its causes: the remote's own answer says more than the error that DVC makes of it."""
    errors = list(chain(error))
    names = {cls.__name__ for each in errors for cls in type(each).__mro__}
    codes = {str(code) for each in errors for code in codes_of(each)}
    if any(isinstance(each, OSError) and each.errno == errno.ENOSPC for each in errors):
        return "disk"
    if codes & _DENIED:
        return "denied"
    if any(len(code) == _STATUS and code.startswith("5") and code.isdecimal() for code in codes):
        return "unreachable"
    for why, known in _BY_NAME.items():
        if names & known:
            return why
    if any(isinstance(each, OSError) and each.errno is not None for each in errors):
        return "unreachable"
    return "options" if "ConfigError" in names else "other"


def codes_of(error: BaseException) -> Iterator[Any]:
    """The status or code that a remote has answered with."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        yield answer.get("Error", {}).get("Code")
        yield answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    yield from (getattr(error, name, None) for name in ("status", "status_code", "code"))


def said(error: BaseException) -> str:
    """The messages of an error and its causes, in one line."""
    texts = [f"{type(each).__name__}: {' '.join(str(each).split())}" for each in chain(error)]
    return scrubbed("; ".join(dict.fromkeys(texts)))[:_LONGEST]


def secret_values(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from secret_values(inner, str(key))
    elif isinstance(value, str) and len(value) >= _SHORTEST and _SECRET.search(name) and name != "connection":
        yield value


def without_login(address: str) -> str:
    return _USERINFO.sub("", address)


def scrubbed(text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "****").replace(json.dumps(secret)[1:-1], "****")
    return _USERINFO.sub("", text)
