"""A loopback server of a team's: feeds with another answer for each request, files that stay, and paths that ask for a login."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_PRIVATE = "/private/"
FEEDS = ("/latest.json", "/private/charts.json")


@dataclass(frozen=True)
class TeamServer:
    """Its address, the paths that it was asked for, the files that it has by path, and the headers that open its private paths."""

    url: str
    asked: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    authorizations: set[str] = field(default_factory=set)

    @property
    def requests(self) -> int:
        return len(self.asked)


@contextmanager
def team_server() -> Iterator[TeamServer]:
    """Serve until the end of the block; the n-th answer of a feed is {"EUR": n}."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serving.asked.append(self.path)
            if self.path.startswith(_PRIVATE) and self.headers.get("Authorization") not in serving.authorizations:
                self._answer(401, b"who are you?")
            elif self.path in FEEDS:
                self._answer(200, json.dumps({"EUR": Counter(serving.asked)[self.path]}).encode())
            elif self.path in serving.files:
                self._answer(200, serving.files[self.path])
            else:
                self._answer(404, b"no such file")

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="team"')
            self.send_header("ETag", f'"{md5(body, usedforsecurity=False).hexdigest()}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            del arguments

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = TeamServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, args=(0.01,), name="team server")
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
