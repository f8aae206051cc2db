"""Temporary credentials for child processes, served on the loopback interface by the protocol of AWS's containers.

Every AWS client knows the protocol, and asks again before its credentials expire. So a child may run longer than they are valid.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.credentials import RefreshableCredentials

log = logging.getLogger(__name__)

_PATH = "/credentials"
_IDLE_SECONDS = 10
_POLL_SECONDS = 0.1
_STRONGER = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
# AWS clients look at the profile `default` of these files before they ask the container's address.
_FILES = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")


@dataclass(frozen=True)
class Issued:
    """Temporary credentials. `expires` is aware."""

    access_key: str
    secret_key: str
    token: str
    expires: datetime

    @property
    def valid(self) -> bool:
        """True if they have not expired."""
        return datetime.now(UTC) < self.expires

    def to_json(self) -> bytes:
        """The body of an answer of the container protocol."""
        document = {
            "AccessKeyId": self.access_key,
            "SecretAccessKey": self.secret_key,
            "Token": self.token,
            "Expiration": self.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return json.dumps(document).encode()


class Issuer:
    """Issues the credentials of a session. botocore begins to renew them a quarter of an hour before they expire.

    A child waits only two seconds for an answer. So one request at a time waits for a renewal; the others get the credentials
    that are still valid, and so does the first if the renewal fails.
    """

    def __init__(self, session: RefreshableCredentials, mask: Callable[[str], None]) -> None:
        """`mask` is called with every secret before it is issued.

        Raises:
            botocore.exceptions.ClientError: STS refuses the role.
            botocore.exceptions.BotoCoreError: STS does not answer, or there are no credentials.
        """
        self._session = session
        self._mask = mask
        self._renewing = threading.Lock()
        self._issued = self._current()

    def issue(self) -> Issued:
        """The current credentials.

        Raises:
            botocore.exceptions.ClientError: the last credentials have expired, and STS refuses the role.
            botocore.exceptions.BotoCoreError: the last credentials have expired, and STS does not answer.
        """
        if self._renewing.acquire(blocking=not self._issued.valid):
            try:
                self._issued = self._current()
            except Exception as error:
                if not self._issued.valid:
                    raise
                log.warning("the credentials of child processes are not renewed yet: %s", error)
            finally:
                self._renewing.release()
        return self._issued

    def _current(self) -> Issued:
        frozen: Any = self._session.get_frozen_credentials()
        # botocore has no public name for the time of expiry.
        expires: datetime = self._session._expiry_time  # type: ignore[attr-defined]  # noqa: SLF001
        for secret in (frozen.secret_key, frozen.token):
            self._mask(secret)
        return Issued(frozen.access_key, frozen.secret_key, frozen.token, expires)


@contextmanager
def served(issuer: Issuer, mask: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Serve the credentials to child processes while the context is open. Yields the variables by which a child finds them.

    A variable with an empty value must be absent in the child (`process.environment` removes it), because AWS clients would look
    there first. Only a caller with the token gets an answer; the token is random and new for each context.
    """
    token = secrets.token_urlsafe(32)
    mask(token)
    server = _Server(("127.0.0.1", 0), _handler(issuer, token))
    thread = threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="credentials of child processes", daemon=True
    )
    thread.start()
    try:
        yield {
            **dict.fromkeys(_STRONGER, ""),
            **dict.fromkeys(_FILES, os.devnull),
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{server.server_address[1]}{_PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_IDLE_SECONDS)


class _Server(ThreadingTCPServer):
    """Unlike HTTPServer, it does not look up its own name in the DNS."""

    daemon_threads = True  # so that a renewal that hangs does not hold up the end of the task
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the names of the base class
        log.debug("a child process did not wait for its credentials: %s", sys.exc_info()[1])


def _handler(issuer: Issuer, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _IDLE_SECONDS

        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            if self.path != _PATH or not hmac.compare_digest(given.encode(), token.encode()):
                self._answer(403, _complaint("AccessDenied", "This is for the task's own child processes."))
                return
            try:
                body = issuer.issue().to_json()
            except Exception as error:  # noqa: BLE001 - the child must learn of any failure of STS or the network
                log.warning("the credentials of child processes cannot be renewed: %s", error)
                self._answer(500, _complaint(type(error).__name__, str(error)))
                return
            self._answer(200, body)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has in the base class
            log.debug(format, *args)

    return Handler


def _complaint(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message}).encode()
