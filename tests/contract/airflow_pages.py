"""The pages of Airflow's REST API that the watch reads, with answers that a test chooses; all else is empty and healthy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

_HEALTHY = {name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")}
_HELD_SECONDS = 60


class AirflowPages:
    """What was asked, by path, and what is answered."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self._answers: dict[str, Any] = {
            "/auth/token": {"access_token": "x"},
            "/api/v2/monitor/health": _HEALTHY,
            "/api/v2/backfills": {"backfills": []},
        }
        self._hanging: set[str] = set()
        self._released = Event()

    def answer(self, path: str, document: object) -> None:
        """Answer that path with a document, or with 404 for None."""
        self._answers[path] = document

    def hang(self, path: str) -> None:
        """Give that path no answer."""
        self._hanging.add(path)

    def release(self) -> None:
        self._released.set()

    def of(self, path: str) -> object:
        """The answer to a path, or None for 404; waits where it hangs."""
        self.asked.append(path)
        if path in self._hanging:
            self._released.wait(_HELD_SECONDS)
        if path.endswith("/dagRuns"):
            return self._answers.get(path, {"dag_runs": []})
        return self._answers.get(path)


@contextmanager
def airflow_pages() -> Iterator[AirflowPages]:
    """The pages on a free loopback port."""
    pages = AirflowPages()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = pages.of(unquote(urlsplit(self.path).path))
            content = json.dumps(found).encode()
            try:
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except ConnectionError:  # it had no patience
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing: a test reads `asked`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        pages.url = f"http://127.0.0.1:{server.server_address[1]}"
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield pages
        finally:
            pages.release()
            server.shutdown()
