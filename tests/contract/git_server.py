"""A Git server over HTTP for a test: `git http-backend` behind Basic authentication, with the batch interface of Git LFS.

It answers as the hosted ones do: 401 with a challenge without the right password, 404 for a repository that is not there. It notes
each request with its headers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """One request: method, path, and its headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def login(self) -> str:
        """The user and password that came with it; empty without."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return base64.b64decode(value).decode() if scheme == "Basic" else ""


@dataclass
class GitServer:
    """The bare repositories below `root`, readable with `login` (user:password), or by everybody if that is empty.

    `moved` redirects the paths that begin with a key to another address. `large` has the content of the files in Git LFS by SHA-256;
    one in `wrong` is sent with other content.
    """

    root: Path
    login: str = ""
    moved: dict[str, str] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def keep(self, content: bytes) -> str:
        """Take a file into Git LFS, and return its pointer."""
        digest = hashlib.sha256(content).hexdigest()
        self.large[digest] = content
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"

    @property
    def logins(self) -> set[str]:
        """All logins that came with a request."""
        return {each.login for each in self.asked} - {""}

    def downloads(self) -> int:
        """How many files in Git LFS were sent."""
        return sum(each.path.startswith("/large/") and each.login == self.login for each in self.asked)


class _Handler(BaseHTTPRequestHandler):
    known: GitServer

    def log_message(self, *_: object) -> None:
        """Nothing: the requests are noted by `GitServer`."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        self.known.asked.append(asked)
        body = self.rfile.read(int(asked.headers.get("content-length", 0)))
        if asked.headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        for begin, to in self.known.moved.items():
            if self.path.startswith(begin):
                self._send(301, b"", {"Location": to + self.path.removeprefix(begin)})
                return
        if self.known.login and asked.login != self.known.login:
            self._send(401, b"who are you?\n", {"WWW-Authenticate": 'Basic realm="git"'})
        elif self.path.startswith("/large/"):
            self._large(self.path.rpartition("/")[2])
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        else:
            self._git(body, asked)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _large(self, digest: str) -> None:
        content = self.known.large[digest]
        self._send(200, content[::-1] if digest in self.known.wrong else content, {})

    def _batch(self, document: dict[str, Any]) -> None:
        def entry(wanted: dict[str, Any]) -> dict[str, Any]:
            if wanted["oid"] not in self.known.large:
                return {**wanted, "error": {"code": 404, "message": "Object does not exist"}}
            return {**wanted, "actions": {"download": {"href": f"{self.known.url}/large/{wanted['oid']}"}}}

        answer = {"transfer": "basic", "objects": [entry(each) for each in document["objects"]]}
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/vnd.git-lfs+json"})

    def _git(self, body: bytes, asked: Asked) -> None:
        parts = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.known.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": asked.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": asked.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": asked.headers.get("git-protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._send(int(headers.pop("Status", "200").split()[0]), content, headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def served(root: Path, login: str = "") -> Iterator[GitServer]:
    """A server on a free port of 127.0.0.1, which ends with the block."""
    known = GitServer(root, login)
    handler = type("Handler", (_Handler,), {"known": known})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    known.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
