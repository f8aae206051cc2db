"""Servers on the loopback interface, for the tests of the local stack."""

from __future__ import annotations

import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest
from slack_sdk import WebClient

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

from slack_standin.running import Standin  # noqa: E402

SLACK_TOKEN = "xoxb-test-token"

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Poll until the condition holds; after `seconds`, fail the test and name `what` was expected."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        Event().wait(0.05)


def fetch(
    url: str, *, token: str = "", data: bytes | None = None, method: str | None = None, host: str = ""
) -> tuple[str, bytes]:
    """Request a URL of a server on the loopback; returns the URL that answered, after redirects, and the body.

    Raises:
        HTTPError: the answer has an error status.
        URLError: the server does not answer.
    """
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"Host": host} if host else {}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - our own servers
    with _OPENER.open(request, timeout=10) as response:
        return response.url, response.read()


def answers(url: str) -> bool:
    try:
        fetch(url)
    except OSError:
        return False
    return True


def read(url: str) -> str:
    return fetch(url)[1].decode()


def free_ports(count: int) -> list[int]:
    """Return `count` different ports on which no server listens."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class SlackServer(Standin):
    """A Slack stand-in of two channels, with Slack's own client."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, channels=("retrain-alerts", "retrain-digest"), token=SLACK_TOKEN)

    def client(self, token: str = SLACK_TOKEN, **options: object) -> WebClient:
        return WebClient(token=token, base_url=f"{self.url}/api/", **{"timeout": 20} | options)

    def page(self) -> str:
        return read(f"{self.url}/")
