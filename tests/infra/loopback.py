"""Servers on the loopback for the tests of the local stack, and waiting for them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from slack_sdk import WebClient

ROOT = Path(__file__).resolve().parents[2]

SLACK_TOKEN = "xoxb-test-token"

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Poll until the condition holds; fail with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        Event().wait(0.05)


def fetch(
    url: str, *, token: str = "", data: bytes | None = None, method: str | None = None, host: str = ""
) -> tuple[str, bytes]:
    """Ask a server on the loopback; give the address that answered and the content. Raises HTTPError and URLError."""
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
    """Find ports that nobody listens on, each another."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass
class SlackServer:
    """A running Slack stand-in."""

    url: str
    process: subprocess.Popen[bytes]

    def client(self, token: str = SLACK_TOKEN, **options: object) -> WebClient:
        return WebClient(token=token, base_url=f"{self.url}/api/", timeout=20, **options)

    def page(self) -> str:
        return read(f"{self.url}/")


def start_slack(state: Path, port: int) -> SlackServer:
    """Start the stand-in on a state folder and wait until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "slack_standin.server"],
        cwd=ROOT / "infra" / "local",
        env={
            "PATH": os.environ["PATH"],
            "SLACK_STANDIN_STATE": str(state),
            "SLACK_STANDIN_PORT": str(port),
            "SLACK_STANDIN_TOKEN": SLACK_TOKEN,
            "SLACK_STANDIN_CHANNELS": "retrain-alerts,retrain-digest",
        },
    )
    server = SlackServer(f"http://127.0.0.1:{port}", process)
    wait_until(lambda: answers(f"{server.url}/health") or process.poll() is not None, "the Slack stand-in answers")
    return server
