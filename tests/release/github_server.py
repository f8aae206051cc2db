"""A server on the loopback that speaks as GitHub's REST API does; a stand-in behind it has the state of one repository."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "ghs_token"


@contextmanager
def github_server(answer: Callable[[str, str, str, Any], tuple[int, Any]]) -> Iterator[str]:
    """The server's address. `answer` gets token, method, path and body, and returns the status and the body, None for none."""

    class Api(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
            given = json.loads(content) if content else None
            if self.headers["User-Agent"]:
                status, said = answer(token, self.command, self.path, given)
            else:
                status, said = 403, {"message": "Request forbidden by administrative rules."}
            body = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
