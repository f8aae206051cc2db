"""An HTTP server outside: an address of the second channel and the target of the watch's heartbeats."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Takes messages of apprise's json:// and heartbeats; answers 500 while `ill`."""

    def __init__(self) -> None:
        self.taken: list[dict] = []
        self.refused = 0
        self.beats: list[int] = []
        self.ill = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.ill:
                    receiver.refused += 1
                else:
                    receiver.taken.append(body)
                self.send_response(500 if receiver.ill else 200)
                self.end_headers()

            def do_GET(self):
                receiver.beats.append(500 if receiver.ill else 200)
                self.send_response(receiver.beats[-1])
                self.end_headers()

            def log_message(self, *_):
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://user:hidden-word@127.0.0.1:{self.server.server_port}/"
        self.page = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def titles(self):
        return [message["title"] for message in self.taken]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that is running."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
