"""A private stand-in for tests and pictures: a process on a free port, with its state in a folder."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LOCAL = Path(__file__).resolve().parents[1]
_SECONDS = 30.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StandinError(Exception):
    """The stand-in did not start; the message says why."""


class Standin:
    """A stand-in that runs within `with Standin() as slack:`, or between `start` and `stop`.

    After `stop` and `start` it has the same address and the same messages; in between, connections are refused.
    Without `folder`, its state is deleted when the `with` ends. Times on its page are UTC.
    """

    def __init__(
        self, folder: Path | None = None, *, channels: Sequence[str] = ("retrain-alerts",), token: str = ""
    ) -> None:
        self.token = token or f"xoxb-{secrets.token_hex(8)}"
        self.channels = channels
        self._temporary = tempfile.TemporaryDirectory() if folder is None else None
        self._folder = Path(self._temporary.name) if self._temporary else folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the stand-in, then wait until it answers.

        Raises:
            StandinError: it ended, or did not answer in time.
        """
        self.process = subprocess.Popen(
            [sys.executable, "-m", "slack_standin.server"],
            cwd=_LOCAL,
            env={
                "PATH": os.environ["PATH"],
                "TZ": "UTC",
                "SLACK_STANDIN_STATE": str(self._folder),
                "SLACK_STANDIN_PORT": str(self.port),
                "SLACK_STANDIN_TOKEN": self.token,
                "SLACK_STANDIN_CHANNELS": ",".join(self.channels),
            },
        )
        deadline = time.monotonic() + _SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StandinError(f"The Slack stand-in at {self.url} did not start. Its output is above.")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the stand-in; its state is kept."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def control(self, name: str, body: object = None, *, method: str | None = None) -> Any:
        """Call an endpoint under /control/ (see `controls.py`) and return its answer: POST with a body, GET without.

        Raises:
            OSError: the stand-in does not run, or refuses.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/control/{name}", data=data, headers=headers, method=method)  # noqa: S310 - our own server
        with _OPENER.open(request, timeout=_SECONDS) as response:
            return json.load(response)

    def _answers(self) -> bool:
        try:
            with _OPENER.open(f"{self.url}/health", timeout=_SECONDS):
                return True
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if self._temporary:
            self._temporary.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
